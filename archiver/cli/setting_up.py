"""What an administrator types once: init, and the accounts."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from archiver import config, credentials, otpauth, wiring
from archiver.cli.running import prepare_run
from archiver.cli.terminal import json_line, local, out, safe, safe_line, say, table
from archiver.errors import Exit, UsageError

if TYPE_CHECKING:
    from archiver.archive.keyring import Unlock

_NO_TERMINAL = "Name a file with --passphrase-file, or a key in the configuration: `key = { file = … }` in [archive]."


def init(args: argparse.Namespace) -> int:
    """Make what is not there yet: the configuration, the key file, the archive. Overwrites nothing.

    Where there was no configuration, only that is made: how the archive is opened is a choice to be made in it, before
    there is an archive. A passphrase file is that choice.
    """
    from archiver.archive.archive import Archive

    path, is_new = _configuration(args.config)
    again = f"archiver --config {path}" if args.config else "archiver"
    if is_new and args.passphrase_file is None:
        say(f"Fill in an [[account]] there and say where the key comes from; then run `{again} init` again.")
        if args.json:
            json_line({"config": str(path), "archive": None})
        return Exit.DONE
    loaded = config.load(path)
    archive = loaded.archive
    if (archive.path / "keyring.json").exists():
        raise UsageError(
            f"There is an archive in {archive.path} already; it was not touched.",
            hint="Go on with `archiver account add`, or name another `path` in the configuration.",
        )
    Archive.create(archive.path, [_unlock(archive.key, args.passphrase_file)]).close()
    say(f"Made the archive {archive.path}.")
    if args.json:
        json_line({"config": str(path), "archive": str(archive.path)})
    names = [account.name for account in loaded.accounts]
    if names:
        say(f"Next: {again} account add {names[0]} --email YOUR-E-MAIL")
    else:
        say(f"Next: fill in an [[account]] in {path}, then: {again} account add NAME --email YOUR-E-MAIL")
    return Exit.DONE


def _unlock(key: config.KeyConfig, passphrase_file: str | None) -> Unlock:
    """What the new archive is to open with; a key file that is named and missing is made."""
    from archiver.archive.keyring import Passphrase, make_key_file

    if key == config.KeyConfig():
        return Passphrase(_passphrase(passphrase_file))
    if passphrase_file is not None:
        raise UsageError(
            "The configuration names a key, so no passphrase is asked for.",
            hint="Leave --passphrase-file out, or remove `key` from the configuration.",
        )
    if key.file is not None and not key.file.exists():
        if not key.file.parent.is_dir():
            raise UsageError(
                f"There is no folder {key.file.parent} to make the key file in.",
                hint="Make it, or name another file for `key` in the configuration.",
            )
        make_key_file(key.file)
        say(f"Made the key {key.file}. Keep a copy somewhere else: without it nobody opens the archive.")
    return credentials.unlock(key)


def _configuration(named: Path | None) -> tuple[Path, bool]:
    """The configuration, and whether it was only now written, because there was none."""
    path = named or (Path(os.environ["ARCHIVER_CONFIG"]) if os.environ.get("ARCHIVER_CONFIG") else None)
    if path is None:
        try:
            return config.find(None, os.environ), False
        except UsageError:
            path = Path("config.toml")
    if path.exists():
        return path, False
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", hint="Make it, or name another place with --config.")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(config.example())
    except OSError as error:
        raise UsageError(
            f"{path} could not be written: {error.strerror}.", hint="Name another place with --config."
        ) from error
    say(f"Wrote {path}.")
    return path, True


def _passphrase(named: str | None) -> str:
    if named is not None:
        passphrase = credentials.read_secret(named, "The passphrase")
    else:
        passphrase = credentials.ask_twice("Passphrase for the new archive: ", otherwise=_NO_TERMINAL)
    say("Keep the passphrase somewhere safe: without it nobody opens the archive.")
    return passphrase


def account_add(args: argparse.Namespace) -> int:
    """Keep a sign-in. One that is there already is replaced, and what was refused of it is forgotten."""
    from archiver.archive.vault import SignIn

    loaded = config.load(config.find(args.config, os.environ))
    wiring.chosen_accounts(loaded, [args.name])
    if [args.password_file, args.totp_secret_file] == ["-", "-"]:
        raise UsageError(
            "Password and TOTP secret cannot both come from standard input.", hint="Name a file for one of them."
        )
    if not args.email.strip():
        raise UsageError("The e-mail address is empty.", hint="Name the one this account signs in with.")
    # Opened first: what keeps the archive from opening is said before anyone types a secret.
    with wiring.opened(loaded, write=True) as archive:
        password = _secret(args.password_file, "The password", f"Password of {args.email}: ", "--password-file")
        given = _totp_secret(args.totp_secret_file)
        wiring.check_totp_secret(given.secret)
        known = any(sign_in.name == args.name for sign_in in archive.vault.accounts())
        archive.vault.add_account(SignIn(args.name, args.email, password, given.secret))
    say(f"{'Replaced' if known else 'Kept'} the sign-in of {args.name} in the vault.")
    if given.email and given.email.casefold() != args.email.strip().casefold():
        say("The QR code names another e-mail address than --email. If that is a mistake, run this again.")
    if args.json:
        json_line({"account": args.name, "replaced": known})
    say(f"Next: archiver sync {args.name}")
    return Exit.DONE


def _totp_secret(named: str | None) -> otpauth.Given:
    """Typed or in a file: base-32 text, an otpauth URI, or a picture of the QR code."""
    if named is None:
        typed = credentials.ask(
            "TOTP secret (the text behind “can't scan the barcode?”, or an otpauth:// address): ",
            otherwise="Name a file with --totp-secret-file.",
        )
        return otpauth.read(typed.encode())
    content = credentials.read_bytes(named, "The TOTP secret", credentials.LARGEST_PICTURE)
    if not content.strip():
        raise UsageError("The TOTP secret is empty.", hint="Write it into the file, or pipe it in.")
    given = otpauth.read(content)
    if otpauth.is_picture(content) and Path(named).is_file():
        say(f"The picture shows the secret to everyone who opens it. Delete it: rm {shlex.quote(named)}")
    return given


def _secret(named: str | None, what: str, prompt: str, option: str) -> str:
    if named is not None:
        return credentials.read_secret(named, what)
    return credentials.ask(prompt, otherwise=f"Name a file with {option}.")


def account_proxy(args: argparse.Namespace) -> int:
    """Keep what the account's proxy is told, or forget it. The sign-in at the site stays as it is."""
    from archiver.archive.vault import ProxySignIn

    loaded = config.load(config.find(args.config, os.environ))
    [account] = wiring.chosen_accounts(loaded, [args.name])
    # Opened first: what keeps the archive from opening is said before anyone types a secret.
    with wiring.opened(loaded, write=True) as archive:
        sign_in = None
        if not args.forget:
            _check_for_proxy(args.user, "name", account.proxy)
            password = _secret(
                args.password_file, "The proxy's password", f"Password of {args.user} at the proxy: ", "--password-file"
            )
            _check_for_proxy(password, "password", account.proxy)
            sign_in = ProxySignIn(args.user, password)
        archive.vault.put_proxy_sign_in(account.name, sign_in)
    say(f"{'Forgot' if sign_in is None else 'Kept'} what the proxy of {account.name} is told to sign in.")
    if account.proxy is None:
        say(f"{account.name} has no `proxy` in {loaded.path} yet, so it connects directly.")
    if args.json:
        json_line({"account": account.name, "proxy_sign_in": sign_in is not None})
    return Exit.DONE


def _check_for_proxy(word: str, what: str, proxy: config.ProxyConfig | None) -> None:
    """Raises UsageError where no such proxy could be told this. A password is not repeated."""
    of_socks = proxy is not None and proxy.scheme == "socks5"
    problem = ""
    if not word or not word.isprintable():
        problem = "is empty or has a control character in it"
    elif of_socks and len(word.encode()) > 255:
        problem = "is longer than the 255 bytes SOCKS5 has room for"
    elif what == "name" and ":" in word and not of_socks:
        problem = "has a colon in it, and to an HTTP proxy that is where the name ends"
    if problem:
        raise UsageError(f"The proxy's {what} {problem}.", hint=f"Look up the {what} at the proxy.")


def account_list(args: argparse.Namespace) -> int:
    """Each configured account, and each sign-in the configuration does not name."""
    loaded = config.load(config.find(args.config, os.environ))
    with wiring.opened(loaded, write=False) as archive:
        kept = {sign_in.name for sign_in in archive.vault.accounts()}
        configured = {account.name: account for account in loaded.accounts}
        rows = []
        for name in sorted(configured.keys() | kept):
            refused = archive.vault.refusals(name)
            stopped = archive.vault.access_stopped(name)
            state = "ready"
            if name not in configured:
                state = "not in the configuration"
            elif name not in kept:
                state = f"no sign-in yet: archiver account add {name} --email E"
            elif stopped is not None:
                state = f"access stopped: {stopped}"
            elif refused:
                state = f"refused {local(refused[-1].at)}: {refused[-1].why}"
            rows.append((name, configured[name].site if name in configured else "", state))
    if args.json:
        for name, site, state in rows:
            json_line({"account": name, "site": site, "state": state})
    elif rows:
        out(table(("account", "site", "state"), [(name, site, safe_line(state)) for name, site, state in rows]))
    else:
        say(f"No account yet. Fill in an [[account]] in {loaded.path}, then run `archiver account add`.")
    return Exit.DONE


def account_check(args: argparse.Namespace) -> int:
    """Prove the TOTP secret and the clock without signing in. A code is shown to who asks for it, and never logged."""
    loaded = config.load(config.find(args.config, os.environ))
    [account] = wiring.chosen_accounts(loaded, [args.name])
    if not args.offline:
        prepare_run(args)
    with wiring.opened(loaded, write=True) as archive:
        checked = wiring.check_account(loaded, archive, account, offline=args.offline)
    say(f"{args.name}: a sign-in is kept, and its TOTP secret makes codes.")
    if args.show_code:
        say(f"The code is {checked.code} for {checked.left_s:.0f} s more. Your phone must show the same.")
    if checked.ahead_s is None:
        say("The site's time is not known." + (" It was not asked." if args.offline else " It gave no date."))
    elif checked.clock_is_right:
        most_s = abs(checked.ahead_s) + checked.doubt_s
        say(f"This machine's clock is right: the site's differs by {most_s:.1f} s at most.")
    else:
        way = "ahead" if checked.ahead_s > 0 else "behind"
        say(f"This machine's clock is wrong: the site's is {abs(checked.ahead_s):.0f} s {way}. {wiring.SET_THE_CLOCK}")
    kept = "A session is kept" if checked.session else "No session is kept: the next run signs in"
    say(f"{kept}. The site last took a credential: {local(checked.accepted_at)}.")
    proven = [marketplace for marketplace, merchant in checked.merchants.items() if merchant]
    say(
        f"Marketplaces whose merchant was proven: {', '.join(proven) or 'none yet'}, of {', '.join(checked.merchants)}."
    )
    if checked.barred is not None:
        say(safe(str(checked.barred)))
    if args.json:
        found: dict[str, object] = {
            "account": args.name,
            "barred": checked.barred.message if checked.barred is not None else None,
            "site_clock_ahead_s": checked.ahead_s,
            "clock_is_right": checked.clock_is_right if checked.ahead_s is not None else None,
            "session": checked.session,
            "accepted_at": checked.accepted_at,
            "merchants": dict(checked.merchants),
        }
        json_line(found | ({"code": checked.code} if args.show_code else {}))
    return Exit.DONE if checked.barred is None and checked.clock_is_right else Exit.PERSON_NEEDED


def account_remove(args: argparse.Namespace) -> int:
    """Forget a sign-in and its session. The correspondence stays."""
    loaded = config.load(config.find(args.config, os.environ))
    with wiring.opened(loaded, write=True) as archive:
        archive.vault.remove_account(args.name)
    if args.json:
        json_line({"account": args.name, "removed": True})
    say(f"Forgot the sign-in of {args.name}. What was captured of it stays, and is still found.")
    return Exit.DONE

#!/usr/bin/env bash
# Sets up what the archiver needs on this machine: a virtual environment from the lock file, a browser, fonts.
#
#   tools/setup.sh          what it takes to run it
#   tools/setup.sh --dev    and what it takes to test it
#
# Says nothing and takes a moment when all is there. Everything Python goes into .venv; a browser and fonts come from
# the distribution where this user may install them (root, or sudo without a password), else one line says what to run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly LOG=$VENV/setup.log
readonly BROWSERS=(chromium chromium-browser google-chrome google-chrome-stable chrome)

LOCK=requirements.txt
[[ ${1-} == --dev ]] && LOCK=requirements-dev.txt

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# Runs a command with its output in the log.
logged() { mkdir -p "$VENV" && printf '\n$ %s\n' "$*" >>"$LOG" && "$@" >>"$LOG" 2>&1 </dev/null; }
# The end of what the last command said.
show_log() { awk '/^\$ / { said = ""; next } { said = said $0 "\n" } END { printf "%s", said }' "$LOG" | tail -n 10 | sed 's/^/setup:   /' >&2; }

# --- the distribution's packages -----------------------------------------------------------------------------------

as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi; }
may_be_root() { [[ $EUID -eq 0 ]] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }

package_manager() {
    local name
    for name in apt-get dnf pacman zypper; do
        if command -v "$name" >/dev/null; then
            echo "$name"
            return
        fi
    done
}

# install_command PACKAGE... : what a person would type
install_command() {
    case $(package_manager) in
        apt-get) echo "apt-get install $*" ;;
        dnf) echo "dnf install $*" ;;
        pacman) echo "pacman -S $*" ;;
        zypper) echo "zypper install $*" ;;
        *) echo "your package manager for $*" ;;
    esac
}

# install PACKAGE... : fails where there is no known package manager, no right to use it, or no such package
install() {
    may_be_root || return 1
    case $(package_manager) in
        apt-get)
            # A fresh machine has no package lists, or old ones. Lists that cannot be had now may still serve.
            [[ -n ${UPDATED-} ]] || logged as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update || true
            UPDATED=yes
            logged as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"
            ;;
        dnf) logged as_root dnf -q -y install "$@" ;;
        pacman) logged as_root pacman -Sy --noconfirm --needed "$@" ;;
        zypper) logged as_root zypper -q --non-interactive install "$@" ;;
        *) return 1 ;;
    esac
}

# --- Python --------------------------------------------------------------------------------------------------------

find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Debian keeps a part of the standard library, venv's, in a package of its own.
need_venv_module() {
    local package
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    may_be_root && say "installing $package"
    if ! install "$package" || ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        rm -rf "$VENV" # holds the log only, and would look like an environment
        stop "Python's venv module is missing. Run as root: $(install_command "$package")"
    fi
}

# Playwright drives the browser with a Node.js of its own, and that needs one library a bare machine may lack.
need_driver() {
    local node package
    node=$(echo "$VENV"/lib/python*/site-packages/playwright/driver/node)
    "$node" --version >>"$LOG" 2>&1 && return
    case $(package_manager) in
        dnf) package=libatomic ;;
        pacman) package=gcc-libs ;;
        *) package=libatomic1 ;;
    esac
    may_be_root && say "installing $package"
    if ! install "$package" || ! "$node" --version >>"$LOG" 2>&1; then
        stop "Playwright's driver does not start here. Run as root: $(install_command "$package")"
    fi
}

# What the environment was made from: the checkout's place (scripts name it), the lock, the entry points.
recipe() { { pwd; cat pyproject.toml "$1"; } | sha256sum | cut -d' ' -f1; }

# An environment made with --dev has everything an ordinary one has.
is_installed() {
    local made_from
    [[ -x $VENV/bin/archiver && -r $VENV/made-from ]] || return 1
    made_from=$(<"$VENV/made-from")
    [[ $made_from == "$(recipe "$LOCK")" || $made_from == "$(recipe requirements-dev.txt)" ]] || return 1
    "$VENV/bin/python" -c '' 2>/dev/null # the Python it was made with may be gone
}

make_environment() {
    local python
    python=$(find_python) || stop "Python 3.11 or newer is needed, and none is on PATH. Install one, or name it: PYTHON=/path/to/python3 make …"
    need_venv_module "$python"
    say "making $VENV from $LOCK with $("$python" --version) (a minute or two, once)"
    # --clear: half an environment, or one whose Python is gone, is made anew.
    "$python" -m venv --clear "$VENV" || stop "$python could not make an environment in $VENV; its own words are above."
    # Every file is checked against the hash in the lock, and nothing is compiled here.
    logged "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r "$LOCK" ||
        { show_log; stop "the packages of $LOCK could not be installed; the whole story is in $LOG."; }
    logged "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --no-index --no-deps --no-build-isolation -e . ||
        { show_log; stop "the archiver itself could not be installed; the whole story is in $LOG."; }
    recipe "$LOCK" >"$VENV/made-from"
}

# --- the browser ---------------------------------------------------------------------------------------------------

# The same order as the program's: one on PATH, then Playwright's own. (The configuration may name another one.)
browser_on_path() {
    local name
    for name in "${BROWSERS[@]}"; do
        command -v "$name" && return
    done
    return 1
}

# Asking Playwright takes half a second, so the answer is remembered.
playwrights_browser() {
    local path
    if [[ -r $VENV/browser ]]; then
        path=$(<"$VENV/browser")
        [[ -x $path ]] && return
    fi
    path=$("$VENV/bin/python" -c '
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)' 2>>"$LOG") || return 1
    # A downloaded browser starts only where the libraries of a desktop are.
    "$path" --version >>"$LOG" 2>&1 || return 1
    echo "$path" >"$VENV/browser"
}

need_browser() {
    browser_on_path >/dev/null && return
    playwrights_browser && return
    say "no Chromium or Chrome here: installing one (a few minutes, once)"
    # Bounded in time: where the download is not reachable, that is learned in seconds, not in half an hour.
    if PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT=10000 logged timeout 300 "$VENV/bin/python" -m playwright install chromium &&
        playwrights_browser; then
        return
    fi
    # Ubuntu's `chromium` is called chromium-browser. The sandbox is a package of its own in Debian, and only there.
    if install chromium chromium-sandbox || install chromium || install chromium-browser; then
        browser_on_path >/dev/null && return
    fi
    stop "no browser could be installed (see $LOG). Run as root: $(install_command chromium)"
}

# --- fonts ---------------------------------------------------------------------------------------------------------

draws() { [[ -n $(fc-list ":lang=$1" 2>/dev/null) ]]; }
draws_all() { draws zh && draws ja && draws und-zsye; } # und-zsye is fontconfig's name for emoji

font_packages() {
    case $(package_manager) in
        dnf) echo fontconfig google-noto-sans-cjk-fonts google-noto-color-emoji-fonts ;;
        pacman) echo fontconfig noto-fonts-cjk noto-fonts-emoji ;;
        zypper) echo fontconfig google-noto-sans-sc-fonts google-noto-sans-jp-fonts google-noto-coloremoji-fonts ;;
        *) echo fontconfig fonts-noto-cjk fonts-noto-color-emoji ;;
    esac
}

# Only pictures suffer without them: text is kept and found all the same. So this warns, and does not stop.
need_fonts() {
    local packages
    draws_all && return
    read -ra packages < <(font_packages)
    if may_be_root; then
        say "installing fonts that draw Chinese, Japanese and emoji"
        install "${packages[@]}" && draws_all && return
    fi
    say "warning: screenshots may show boxes for Chinese, Japanese or emoji. Run as root: $(install_command "${packages[@]}")"
}

is_installed || make_environment
need_driver
need_browser
need_fonts

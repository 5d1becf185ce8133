"""The sign-in table is finite, so its laws are proved by walking every path of it, not by examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.signin import MOST_STEPS, Blame, Credential, Move, Screen, State, Step, decide, table

FOR_A_PERSON = {
    Screen.IMAGE_CAPTCHA,
    Screen.CVF_CAPTCHA,
    Screen.ACIC_CHALLENGE,
    Screen.CONTINUE_WALL,
    Screen.OTP_DEVICE_CHOICE,
    Screen.CVF_CODE,
    Screen.APPROVAL_PENDING,
    Screen.CLAIMS_PICKER,
    Screen.MFA_SENT_CODE,
    Screen.CVF_CODE_AND_POLL,
    Screen.DCQ,
    Screen.ACCOUNT_SWITCHER,
}
REFUSALS = {
    Screen.EMAIL_REFUSED,
    Screen.UNKNOWN_EMAIL,
    Screen.PASSWORD_REFUSED,
    Screen.CODE_REFUSED,
    Screen.LOCKED_OR_RESET,
    Screen.OTP_QUOTA,
}
ASKS = {
    Screen.EMAIL: Credential.EMAIL,
    Screen.PASSWORD: Credential.PASSWORD,
    Screen.PASSWORD_ASSERT: Credential.PASSWORD,
    Screen.MFA_OTP: Credential.CODE,
}

TELLS = {Step.STOP, Step.HAND_OVER, Step.WAIT}
"""Steps that may be the end of a sign-in, and so must have something to say."""


@dataclass(frozen=True)
class Edge:
    """One decision: where the sign-in stood, what was showing, what the table said, and where it stands then."""

    before: State
    screen: Screen
    move: Move
    after: State

    @property
    def goes_on(self) -> bool:
        return self.move.step not in (Step.DONE, Step.STOP)


def every_edge() -> Iterator[Edge]:
    """Every decision any sequence of screens can lead to: each state that can be reached, with each screen."""
    reached = {State()}
    pending = [State()]
    while pending:
        state = pending.pop()
        for screen in Screen:
            edge = Edge(state, screen, *decide(screen, state))
            yield edge
            if edge.goes_on and edge.after not in reached:
                reached.add(edge.after)
                pending.append(edge.after)


EDGES = tuple(every_edge())


def test_every_screen_has_a_rule() -> None:
    assert set(table()) == set(Screen)


def test_every_path_is_walked_to_the_last_step() -> None:
    states = {edge.before for edge in EDGES}

    assert max(state.steps for state in states) == MOST_STEPS
    assert {len(state.submitted) for state in states} == {0, 1, 2, 3}


def test_every_path_ends_within_the_most_steps() -> None:
    longer = [edge for edge in EDGES if edge.goes_on and not edge.before.steps < edge.after.steps <= MOST_STEPS]

    assert longer == []


def test_no_credential_is_submitted_twice_on_any_path() -> None:
    # What was submitted stays in the state, whatever comes, and what is in the state is not submitted again.
    submits = [edge for edge in EDGES if edge.move.step is Step.SUBMIT]

    assert [edge for edge in EDGES if not edge.before.submitted <= edge.after.submitted] == []
    assert [edge for edge in submits if edge.move.credential in edge.before.submitted] == []
    assert [edge for edge in submits if edge.after.submitted != edge.before.submitted | {edge.move.credential}] == []


def test_the_most_submissions_of_any_path_are_one_of_each_credential() -> None:
    # The same law once more, and not by the machine's own book-keeping: counted along the paths themselves.
    counts: dict[State, set[tuple[tuple[Credential, int], ...]]] = {State(): {()}}
    for edge in sorted((edge for edge in EDGES if edge.goes_on), key=lambda edge: edge.before.steps):
        for count in counts[edge.before]:
            credentials = Counter(dict(count))
            credentials.update([edge.move.credential] if edge.move.credential else [])
            counts.setdefault(edge.after, set()).add(tuple(sorted(credentials.items())))

    most = Counter[Credential]()
    for ways in counts.values():
        for way in ways:
            most |= Counter(dict(way))

    assert dict(most) == dict.fromkeys(Credential, 1)


def test_a_credential_is_submitted_only_where_it_is_asked_for() -> None:
    answers = {(edge.screen, edge.move.credential) for edge in EDGES if edge.move.step is Step.SUBMIT}

    assert answers == set(ASKS.items())


@pytest.mark.parametrize("screen", sorted(FOR_A_PERSON))
def test_a_screen_for_a_person_is_left_to_a_person_on_every_path(screen: Screen) -> None:
    moves = {(edge.move.step, edge.move.blame) for edge in EDGES if edge.screen is screen}
    last = {edge.move.step for edge in EDGES if edge.screen is screen and edge.before.steps == MOST_STEPS}

    # A person who answers, and answers, and is asked again is told so in the end.
    assert moves == {(Step.HAND_OVER, Blame.PERSON), (Step.STOP, Blame.PERSON)}
    assert last == {Step.STOP}


@pytest.mark.parametrize("screen", sorted(REFUSALS))
def test_a_refusal_is_a_refusal_on_every_path_and_on_the_last_step_too(screen: Screen) -> None:
    moves = {(edge.move.step, edge.move.blame) for edge in EDGES if edge.screen is screen}

    assert moves == {(Step.STOP, Blame.REFUSED)}


@pytest.mark.parametrize("screen, credential", sorted(ASKS.items()))
def test_a_second_ask_is_a_refusal_on_every_path_and_on_the_last_step_too(
    screen: Screen, credential: Credential
) -> None:
    again = [edge.move for edge in EDGES if edge.screen is screen and credential in edge.before.submitted]

    assert again
    assert {(move.step, move.blame, move.credential) for move in again} == {(Step.STOP, Blame.REFUSED, None)}
    assert all("second time" in move.why for move in again)


def test_only_a_signed_in_page_is_done_and_it_is_done_on_every_path() -> None:
    done = {Screen.SELECT_ACCOUNT, Screen.AUTHENTICATED}

    assert {edge.screen for edge in EDGES if edge.move.step is Step.DONE} == done
    assert {edge.move.step for edge in EDGES if edge.screen in done} == {Step.DONE}


def test_an_unknown_screen_stops_as_unknown() -> None:
    assert {edge.move.blame for edge in EDGES if edge.screen is Screen.UNKNOWN} == {Blame.UNKNOWN}


def test_every_stop_says_whose_it_is_why_and_what_to_do() -> None:
    mute = [
        edge
        for edge in EDGES
        if edge.move.step in TELLS and not (edge.move.blame and edge.move.why.strip() and edge.move.hint.strip())
    ]

    assert mute == []


def test_only_what_may_end_has_a_blame_and_only_a_submission_a_credential() -> None:
    odd = [
        edge.move
        for edge in EDGES
        if (edge.move.blame is not None) != (edge.move.step in TELLS)
        or (edge.move.credential is not None) != (edge.move.step is Step.SUBMIT)
    ]

    assert odd == []


def test_a_page_that_never_stops_reloading_is_the_sites_fault() -> None:
    state, moves = State(), []
    for _ in range(MOST_STEPS + 1):
        move, state = decide(Screen.WAF_CHALLENGE, state)
        moves.append(move)

    assert {move.step for move in moves[:-1]} == {Step.WAIT}
    assert (moves[-1].step, moves[-1].blame) == (Step.STOP, Blame.SITE)
    assert f"in {MOST_STEPS} steps; the last screen was WAF_CHALLENGE" in moves[-1].why


@pytest.mark.parametrize(
    "path",
    [
        [Screen.EMAIL, Screen.PASSWORD, Screen.MFA_OTP, Screen.AUTHENTICATED],
        [Screen.WAF_CHALLENGE, Screen.EMAIL, Screen.PASSWORD, Screen.MFA_OTP, Screen.PHONE_NAG, Screen.SELECT_ACCOUNT],
        [Screen.PASSWORD, Screen.WAF_CHALLENGE, Screen.MFA_OTP, Screen.AUTHENTICATED],
        [Screen.AUTHENTICATED],
    ],
)
def test_a_sign_in_goes_through(path: list[Screen]) -> None:
    state, moves = State(), []
    for screen in path:
        move, state = decide(screen, state)
        moves.append(move)

    assert [move.credential for move in moves if move.credential] == [ASKS[screen] for screen in path if screen in ASKS]
    assert [move.step for move in moves].index(Step.DONE) == len(path) - 1
    assert Step.STOP not in {move.step for move in moves}


@given(st.lists(st.sampled_from(sorted(Screen)), max_size=4 * MOST_STEPS))
def test_whatever_the_site_shows_a_sign_in_keeps_its_laws(shown: list[Screen]) -> None:
    state, moves = State(), []
    for screen in shown:
        move, state = decide(screen, state)
        moves.append((screen, move))
        if move.step in (Step.DONE, Step.STOP):
            break
    submitted = Counter(move.credential for _, move in moves if move.step is Step.SUBMIT)

    assert len(moves) <= MOST_STEPS + 1
    assert max(submitted.values(), default=0) <= 1
    assert all(move.step in (Step.HAND_OVER, Step.STOP) for screen, move in moves if screen in FOR_A_PERSON)
    if len(shown) > MOST_STEPS:
        assert moves[-1][1].step in (Step.DONE, Step.STOP)


@given(st.lists(st.sampled_from([Screen.EMAIL, Screen.PASSWORD]), min_size=3, max_size=MOST_STEPS))
def test_a_loop_of_email_and_password_stops_at_its_first_repeat(shown: list[Screen]) -> None:
    state, steps = State(), []
    for screen in shown:
        move, state = decide(screen, state)
        steps.append(move.step)
        if move.step is Step.STOP:
            break

    assert steps.count(Step.SUBMIT) <= 2
    assert steps[-1] is Step.STOP


@pytest.mark.parametrize("screen", [Screen.PHONE_NAG, Screen.PASSKEY_NAG])
def test_a_nag_is_declined_once_and_then_told(screen: Screen) -> None:
    once, state = decide(screen, State())
    again, _ = decide(screen, state)

    assert once.step is Step.SKIP
    assert (again.step, again.blame) == (Step.STOP, Blame.PERSON)


@pytest.mark.parametrize(
    "screen, claim",
    [(Screen.PASSWORD_REFUSED, "refused the password"), (Screen.CODE_REFUSED, "refused the one-time code")],
)
def test_nothing_is_said_to_be_refused_that_was_never_submitted(screen: Screen, claim: str) -> None:
    unasked, _ = decide(screen, State())
    after_email, _ = decide(screen, State(submitted=frozenset({Credential.EMAIL})))
    refused, _ = decide(screen, State(submitted=frozenset(Credential)))

    assert claim not in unasked.why + after_email.why
    assert claim in refused.why


def test_only_an_approval_is_awaited_where_nobody_comes() -> None:
    assert {screen for screen, move in table().items() if move.elsewhere} == {
        Screen.APPROVAL_PENDING,
        Screen.CVF_CODE_AND_POLL,
    }

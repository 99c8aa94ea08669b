"""interrupts.postponed: the first Ctrl-C waits, a second one does not."""

import signal
import threading

import pytest

from pyconvnet.interrupts import postponed

pytestmark = pytest.mark.usefixtures("default_sigint")


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_first_is_noted_with_a_line_and_raised_after_the_block(capsys):
    with pytest.raises(KeyboardInterrupt), postponed("this batch") as interrupt:
        assert not interrupt.came
        press()
        assert interrupt.came and not interrupt.urgent
    assert capsys.readouterr().err.splitlines()[1:] == ["finishing this batch; Ctrl-C again stops at once"]


def test_the_second_is_raised_at_once(capsys):
    with pytest.raises(KeyboardInterrupt), postponed("") as interrupt:
        press()
        press()
        pytest.fail("the block goes on")
    assert interrupt.urgent and not capsys.readouterr().err


def test_one_that_a_launcher_passes_on_is_the_same():
    with pytest.raises(KeyboardInterrupt), postponed("", apart=60) as interrupt:
        press()
        press()
        assert interrupt.came and not interrupt.urgent


def test_another_error_of_the_block_is_not_hidden():
    with pytest.raises(ValueError, match="the images"), postponed(""):
        press()
        raise ValueError("the images")


def test_threads_and_handlers_of_others_are_left_alone():
    heard = []

    def block():
        with postponed("") as interrupt:
            heard.append((interrupt.came, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert heard == [(False, signal.default_int_handler)]
    signal.signal(signal.SIGINT, lambda *_: heard.append("mine"))
    with postponed("") as interrupt:
        press()
        assert not interrupt.came
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert heard[1:] == ["mine"]

"""The lines of a display without a terminal."""

from mim_backbones.console import display as pool_display
from mim_backbones.console.display import PoolDisplay, Stand, clock


def test_lines_where_there_is_no_terminal(capsys, monkeypatch) -> None:
    stands = [Stand('one', 0.5, 'train 2/4, 0:07 left'), Stand('two [x]', 0.0, 'starts')]
    with PoolDisplay(total=2) as display:
        display.tick(stands)
        assert capsys.readouterr().err == ''  # too soon
        monkeypatch.setattr(pool_display, 'QUIET_INTERVAL', 0.0)
        display.tick(stands)
        assert capsys.readouterr().err == '  one: train 2/4, 0:07 left\n  two [x]: starts\n'
        display.ended('two [x]', 'done (0:09)')
        display.ended('one', 'failed: no space left')
    said = capsys.readouterr()
    assert said.err == '[1/2] two [x]: done (0:09)\n[2/2] one: failed: no space left\n'
    assert said.out == ''


def test_clock() -> None:
    assert [clock(seconds) for seconds in (7.4, 75, 3600)] == ['0:07', '1:15', '60:00']

from downstream.synthetic.speed import measure


def test_measure_gives_two_rates():
    rates = measure(px=32, seconds=0.02)
    assert set(rates) == {'rendered_per_second', 'written_per_second'}
    assert min(rates.values()) > 0

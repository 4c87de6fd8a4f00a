"""Polarity sampling on generators whose law is known, by Algorithm 1 and by the online form."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

from pseudodensity.control.select.polarity import polarity_log_weights
from pseudodensity.control.select.running_bound import running_rejection, share_above
from pseudodensity.generators.toy import Affine
from pseudodensity.generators.volumes import log_volumes
from pseudodensity.papers.polarity.fig11 import chi_square, fig11
from pseudodensity.papers.polarity.fig11_figure import fig11_figure
from pseudodensity.papers.polarity.toy.maps import MAPS, exact_masses
from pseudodensity.papers.polarity.toy.sampling import sample
from pseudodensity.rng import generator
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

POLARITIES = [-2, -1, 0, 0.5, 1, 2]


# ------------------------------------------------------------------------ the online form


def test_the_bound_is_the_largest_weight_so_far():
    """Two weights, 1 and 1/9: after a small one the next is accepted whatever it is, after a large one a
    small one is in one of nine."""
    draws = 4000
    large = torch.rand(draws, 2, generator=generator(0, "sides")) < 0.5
    weights = torch.where(large, 0.0, -math.log(9))
    accepted = torch.stack(
        [
            running_rejection(own, generator(1, "decisions", i), burn_in=0)
            for i, own in enumerate(weights)
        ]
    )
    assert accepted[:, 0].all(), "the first has the largest weight so far"
    after_large = large[:, 0] & ~large[:, 1]
    assert accepted[:, 1][~after_large].all()
    share = accepted[:, 1][after_large].double().mean().item()
    assert share == pytest.approx(1 / 9, abs=4 * math.sqrt(8 / 81 / (draws / 4)))


def test_the_law_is_that_of_weights_cut_at_the_bound():
    """Weights 1, 2 and 8; the first proposal has 2 and its bound holds as long as no 8 was accepted: the
    second proposal comes with chances of 1 : 2 : 2, not of 1 : 2 : 8."""
    draws, values = 6000, torch.tensor([1.0, 2.0, 8.0]).log()
    second = torch.randint(3, (draws,), generator=generator(2, "second"))
    kept = []
    for i, kind in enumerate(second.tolist()):
        pair = torch.stack([values[1], values[kind]])
        if running_rejection(pair, generator(3, "decisions", i), burn_in=1)[1]:
            kept.append(kind)
    counts = np.bincount(kept, minlength=3)
    assert chisquare(counts, np.array([1, 2, 2]) / 5 * len(kept)).pvalue > 1e-3
    assert chisquare(counts, np.array([1, 2, 8]) / 11 * len(kept)).pvalue < 1e-6
    # Half of the distance is what the share above the bound allows: 6 of 11.
    assert share_above(values, values[1].item()) == pytest.approx(6 / 11)
    distance = np.abs(np.array([1, 2, 2]) / 5 - np.array([1, 2, 8]) / 11).sum() / 2
    assert distance < 6 / 11
    assert share_above(values, values[2].item()) == 0


def test_decisions_stay_when_proposals_are_added_and_none_is_of_the_burn_in():
    weights = torch.randn(500, generator=generator(4, "weights"))
    whole = running_rejection(weights, generator(5), burn_in=20)
    assert torch.equal(running_rejection(weights[:200], generator(5), burn_in=20), whole[:200])
    assert not whole[:20].any() and whole[20:].any()
    equal = running_rejection(torch.zeros(50), generator(5), burn_in=10)
    assert equal[10:].all()


@pytest.mark.parametrize("polarity", [-5, 5])
def test_online_a_spread_of_ten_thousand_stays_finite(polarity):
    volumes = torch.linspace(-5e3, 5e3, 1001)[torch.randperm(1001, generator=generator(6))]
    weights = polarity_log_weights(volumes, polarity)
    accepted = running_rejection(weights, generator(7), burn_in=0)
    # Steps of 50 in the log-weight: only a proposal that beats all before it is taken.
    assert torch.equal(accepted, weights == weights.cummax(0).values)
    assert 0 <= share_above(weights, weights[:100].max().item()) <= 1
    assert accepted[weights.argmax()]


def test_weights_of_zero_are_never_accepted():
    weights = torch.tensor([-math.inf, -math.inf, 0.0, -math.inf])
    assert running_rejection(weights, generator(8), burn_in=0).tolist() == [
        False,
        False,
        True,
        False,
    ]
    with pytest.raises(ValueError, match="all weights are zero"):
        share_above(weights[:2], 0.0)


def test_a_burn_in_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves nothing of 3 proposals"):
        running_rejection(torch.zeros(3), generator(9), burn_in=3)


@pytest.mark.parametrize("polarity", [-5, 2])
def test_online_an_affine_generator_keeps_its_law(polarity):
    network = Affine(torch.randn(4, 2, generator=generator(10), dtype=torch.float64)).eval()
    latents = torch.randn(4000, 2, generator=generator(11), dtype=torch.float64)
    weights = polarity_log_weights(log_volumes(network, latents, top=2), polarity)
    accepted = running_rejection(weights, generator(12), burn_in=1)
    # But for rounding of equal volumes every proposal is taken.
    assert accepted[1:].double().mean() == 1


# ------------------------------------------------------------------------ maps


def test_regions_of_the_creases_have_their_volumes_and_their_masses():
    known = MAPS["creases"]()
    latents = known.draw(20_000, generator(0, "creases"))
    regions = known.locate(latents)
    assert regions.min() >= 0 and known.masses.sum().item() == pytest.approx(1)
    assert chisquare(torch.bincount(regions), known.masses * len(latents)).pvalue > 1e-3
    # Automatic differentiation against the product of masked weights.
    some = latents[:400]
    jacobians = torch.func.vmap(torch.func.jacrev(lambda z: known.generator(z[None])[0]))(some)
    found = torch.linalg.slogdet(jacobians).logabsdet
    assert found.numpy() == pytest.approx(known.log_volumes[regions[:400]].numpy(), abs=1e-9)
    engine = log_volumes(known.generator.eval(), some, top=2, route="exact")
    assert engine.numpy() == pytest.approx(found.numpy(), abs=1e-9)


def test_areas_in_the_plane_are_areas_of_latents_times_volumes():
    known = MAPS["creases"]()
    for outline, mass, volume in zip(known.outlines, known.masses, known.log_volumes, strict=True):
        turned = outline.roll(-1, 0)
        area = (outline[:, 0] * turned[:, 1] - outline[:, 1] * turned[:, 0]).sum().abs() / 2
        assert area.item() == pytest.approx(4 * (mass * volume.exp()).item())


def test_the_law_of_the_two_pieces():
    known = MAPS["two_pieces"]()
    for polarity in POLARITIES:
        mass = exact_masses(known.masses, known.log_volumes, polarity)[0].item()
        assert mass == pytest.approx(1 / (1 + 3**polarity))


# ------------------------------------------------------------------------ the experiment


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    settings = {"polarity": POLARITIES, "samples": 1500, "volumes": 60_000, "burn_in": 200}
    arrays, facts = sample({}, settings | {"seed": 0})
    path = tmp_path_factory.mktemp("toys") / "drawn.safetensors"
    save_tensors(path, arrays, {"kind": "experiment"}, facts)
    return {"drawn": path}


def test_both_algorithms_have_the_exact_law(drawn):
    frame = fig11(drawn, {}).frame
    assert set(frame["algorithm"]) == {"offline", "online"} and len(frame) == 2 * 2 * 6
    assert (frame["samples"] == 1500).all()
    line = frame[frame["map"].eq("two_pieces")]
    expected = 1 / (1 + 3 ** line["polarity"])
    assert line["exact"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-6)
    sigma = np.sqrt(expected * (1 - expected) / 1500)
    assert ((line["mass"] - expected).abs() < 4 * sigma).all()
    # 24 tests, of which each may fail once in ten thousand times.
    assert (frame["p"] > 1e-4).all()
    online = frame[frame["algorithm"].eq("online")]
    assert (online["bias"] == 0).all(), "the burn-in has met the largest of two weights"
    assert (online["proposals"] < 60_000).all()


def test_the_chi_square_is_scipys_and_sees_another_law():
    counts, masses = [30, 50, 20], [0.3, 0.4, 0.3]
    p, freedom = chi_square(counts, masses)
    assert (p, freedom) == (pytest.approx(chisquare(counts, np.array(masses) * 100).pvalue), 2)
    assert chi_square([500, 500], [0.75, 0.25])[0] < 1e-6
    joined = chi_square([97, 1, 2], [0.96, 0.02, 0.02])
    assert joined == (pytest.approx(chisquare([97, 3], [96, 4]).pvalue), 1)
    assert math.isnan(chi_square([5], [1.0])[0])


def test_the_picture_has_a_column_for_each_polarity(drawn):
    figure = fig11_figure(drawn, {"map": "creases", "polarity": [-2, 0, 1]})
    assert len(figure.axes) == 3 * 3 + 1
    assert "11 affine regions" in " ".join(text.get_text() for text in figure.texts).replace(
        "\n", " "
    )
    assert pd.notna(figure.axes[0].get_title(loc="left"))

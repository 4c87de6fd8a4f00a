"""What the pages in docs/ show of a run, which rules make from the targets of the papers."""

__all__ = ["FINDINGS", "REHEARSED"]

# Page of findings -> the table, the claims and the pictures that it shows, and the targets whose cost it says
# (all of the main paper if none is named). That of config/scales/real.yaml shows what is measured on real images.
TRADE_OFF = {"table1": "Table 1: samples on the same latents, and the trade-off of every block"}
FRONTS = {"fig4": "Figure 4: precision and recall of every model"}
LATENT = "latent_reweighting"
FINDINGS = {
    "findings": {
        "table": "table1",
        "claims": "claims",
        "pictures": TRADE_OFF
        | FRONTS
        | {
            "fig6": "Figure 6: every method on one model",
            "fig7": "Figure 7: importance sampling by exact likelihood and by pseudo density",
            "fig2": "Figure 2: extremes of pseudo density",
            "fig3": "Figure 3: samples moved towards more and less density",
        },
        "targets": (),
    },
    "findings_real": {
        "table": "table1",
        "claims": "table1.claims",
        "pictures": TRADE_OFF | FRONTS,
        "targets": ("table1", "table1.claims", "fig4"),
    },
    "findings_latent": {
        "table": f"{LATENT}/table2",
        "claims": f"{LATENT}/claims",
        "pictures": {
            f"{LATENT}/all_methods": "Precision, recall and cost of every method on one model",
            f"{LATENT}/fig3": "Figure 3: precision against the time of one image",
            f"{LATENT}/fig4": "Figure 4: images from the least to the most accepted, and acceptance against realism",
            f"{LATENT}/fig5": "Figure 5: latents that climb their weights",
            f"{LATENT}/table1": "Table 1: points of every method in the plane",
            f"{LATENT}/fig2": "Figure 2: density ratio and latent weights",
        },
        "targets": tuple(
            f"{LATENT}/{name}"
            for name in ("table1", "fig2", "table2", "table3", "table4", "table5", "table6")
        )
        + (f"{LATENT}/fig4", f"{LATENT}/ascents", f"{LATENT}/all_methods", f"{LATENT}/claims"),
    },
    "findings_polarity": {
        "table": "polarity/table2",
        "claims": "polarity/claims",
        "pictures": {
            "polarity/fig1": "Figure 1: precision and recall along truncation and along polarity",
            "polarity/fig3": "Figure 3: polarity, truncation, and both",
            "polarity/fig2": "Figure 2: singular values and latents that it takes",
            "polarity/fig4": "Figure 4: samples by polarity in two spaces",
            "polarity/fig5": "Figure 5: modes",
            "polarity/fig6": "Figure 6: distance to training images, of a GAN and of a VAE",
            "polarity/fig7": "Figure 7: perceptual path length",
            "polarity/fig11": "Figure 11: laws that are known",
        },
        "targets": tuple(
            f"polarity/{name}"
            for name in ("table1", "table2", "table3", "table4", "fig3", "fig4", "fig5", "fig6")
        )
        + ("polarity/fig7", "polarity/fig11", "polarity/claims"),
    },
    "findings_low_density": {
        "table": "low_density/fig4",
        "claims": "low_density/claims",
        "pictures": {
            "low_density/fig4": "Figure 4: hardness by the strength of guidance, and precision at that hardness",
            "low_density/fig1": "Figure 1: reals, a GAN, plain and guided diffusion",
            "low_density/fig10": "Figure 10: one seed of each class as alpha rises",
            "low_density/fig7": "Figure 7: where the sets lie among the reals",
            "low_density/fig8": "Figure 8: guided images and their nearest training images",
            "low_density/fig16": "Figure 16: few deterministic steps",
            "low_density/fig_rivals": "Rivals: what they reach on the same latents",
        },
        "targets": tuple(
            f"low_density/{name}"
            for name in (
                "trainings",
                "table1",
                "table2",
                "table_rivals",
                "fig4",
                "fig7",
                "fig8",
                "fig9",
            )
        )
        + tuple(f"low_density/{name}" for name in ("fig11", "fig13", "fig14", "fig15", "fig16"))
        + ("low_density/fig17", "low_density/claims"),
    },
    "findings_diverse_rare": {
        "table": "diverse_rare/table1",
        "claims": "diverse_rare/claims",
        "pictures": {
            "diverse_rare/all_methods": "Rarity, precision and diversity of everything that makes rare images",
            "diverse_rare/fig1": "Figure 1: references and what was searched around each",
            "diverse_rare/fig12": "Figure 12: references beside a rare sample, and what changed",
            "diverse_rare/fig8": "Figure 8: a learned density against distances to neighbours",
            "diverse_rare/fig9": "Figure 9: the path of a search",
            "diverse_rare/fig13": "Figure 13: samples of several methods",
            "diverse_rare/fig3": "Figure 3: images of high and of low density",
        },
        "targets": tuple(f"diverse_rare/table{i}" for i in (1, 4, 7, 9, 10, 11, 12, 15, 16, 17))
        + tuple(f"diverse_rare/{name}" for name in ("fig8", "all_methods", "claims")),
    },
}
# What the page of the papers' scale runs, some hours on two cores. It shows what else was run of that config too.
REHEARSED = (
    "table1/projectedgan-church.csv",
    "table1/stylegan2-faces.csv",
    "table1/iddpm-bedroom.csv",
    "latent_reweighting/table6.csv",
    "polarity/fig6.csv",
    "low_density/table1.csv",
    "diverse_rare/table2.csv",
    "diverse_rare/table10.csv",
)

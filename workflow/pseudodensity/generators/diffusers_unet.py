"""diffusers' UNet2DModel, unmodified, for public weights; `unet` is ours for models trained here."""

from __future__ import annotations

from diffusers import UNet2DModel
from torch import Tensor, nn

from pseudodensity.generators.unet import ClassEmbedding, UNetShape

__all__ = ["DiffusersUNet"]

# flavour: plain down and up block, resampling, conditioning
FLAVOURS = {
    "iddpm": ("DownBlock2D", "UpBlock2D", "conv", "default"),
    "adm": ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D", "resnet", "scale_shift"),
}


class DiffusersUNet(nn.Module):
    """A UNet2DModel of a shape, called as `unet.UNet` is."""

    def __init__(self, shape: UNetShape):
        super().__init__()
        down, up, resample, conditioning = FLAVOURS[shape.flavour]
        attended = [level in shape.attention_levels for level in range(len(shape.channels))]
        self.network = UNet2DModel(
            sample_size=shape.size,
            in_channels=shape.inputs,
            out_channels=2 * shape.inputs,
            block_out_channels=tuple(shape.channels),
            layers_per_block=shape.blocks,
            down_block_types=tuple("AttnDownBlock2D" if a else down for a in attended),
            up_block_types=tuple("AttnUpBlock2D" if a else up for a in reversed(attended)),
            downsample_type=resample,
            upsample_type=resample,
            resnet_time_scale_shift=conditioning,
            attention_head_dim=shape.head_channels,
            norm_num_groups=shape.norm_groups,
            # Without it the attention of a scale-and-shift middle block would lose its norm.
            attn_norm_num_groups=shape.norm_groups,
            norm_eps=1e-5,
            dropout=shape.dropout,
            # The vectors of classes are given to it, so that they may be mixtures.
            class_embed_type=None if shape.classes is None else "identity",
        )
        if shape.classes is not None:
            self.class_embedding = ClassEmbedding(shape.classes, shape.embedding)

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """As `unet.UNet` has it."""
        vectors = None if labels is None else self.class_embedding(labels)
        return self.network(x, times, class_labels=vectors, return_dict=False)[0]

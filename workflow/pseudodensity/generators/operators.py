"""The operators that a stranger's graph may call: the tensor operators that networks are made of.

A list of what is let in, not of what is kept out: PyTorch has thousands, and some map files, take
memory as it is or skip their own checks. What stands here maps tensors and numbers to tensors.
"""

from __future__ import annotations

__all__ = ["SIZE_OPERATORS", "TENSOR_OPERATORS"]

# Names under torch.ops.aten, in every overload; without the underscore of those that work in place.
_ARITHMETIC = """
abs acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and bitwise_not bitwise_or
bitwise_xor ceil clamp clamp_max clamp_min clip copysign cos cosh deg2rad digamma div divide eq erf erfc
erfinv exp exp2 expm1 fix floor floor_divide fmax fmin fmod frac ge greater greater_equal gt hypot i0
isclose isfinite isinf isnan isneginf isposinf ldexp le lerp less less_equal lgamma log log10 log1p log2
logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt maximum minimum mul multiply
mvlgamma nan_to_num ne neg negative not_equal polygamma positive pow rad2deg reciprocal relu remainder
round rsqrt rsub sgn sigmoid sign signbit sin sinc sinh special_expit sqrt square sub subtract tan tanh
true_divide trunc xlogy
"""
_REDUCTIONS = """
all amax amin aminmax any argmax argmin argsort cummax cummin cumprod cumsum diff kthvalue linalg_norm
linalg_vector_norm logcumsumexp logsumexp max mean median min mode msort norm prod quantile sort std
std_mean sum topk trace var var_mean
"""
_PRODUCTS = """
addbmm addmm addmv addr baddbmm bilinear bmm chain_matmul cosine_similarity cross dot einsum ger inner
kron linalg_cross linalg_matmul linalg_multi_dot linear matmul mm mv outer tensordot vdot
"""
_SHAPES = """
adjoint alias atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to cartesian_prod cat
channel_shuffle chunk clone column_stack concat concatenate constant_pad_nd contiguous detach diag
diag_embed diagonal dsplit dstack expand expand_as flatten flip fliplr flipud gather hsplit hstack
im2col index_select index movedim moveaxis mT narrow numpy_T pad permute pixel_shuffle pixel_unshuffle
ravel reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d
replication_pad2d replication_pad3d reshape reshape_as resolve_conj resolve_neg roll rot90 select split
split_with_sizes squeeze stack swapaxes swapdims t take take_along_dim tensor_split tile transpose tril
triu type_as unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze
view view_as vsplit vstack where masked_fill masked_select scatter scatter_add index_add index_copy
index_fill index_put select_scatter slice slice_scatter diagonal_scatter col2im copy _unsafe_view
_shape_as_tensor
"""
_CREATION = """
arange eye full full_like linspace logspace meshgrid new_full new_ones new_zeros ones ones_like
scalar_tensor tril_indices triu_indices zero zeros zeros_like fill lift_fresh_copy to _to_copy
float_power bernoulli multinomial normal rand rand_like randint randint_like randn randn_like randperm
uniform bucketize searchsorted one_hot complex real imag polar view_as_complex view_as_real
hann_window hamming_window
"""
_LAYERS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d alpha_dropout avg_pool1d
avg_pool2d avg_pool3d batch_norm _adaptive_avg_pool2d _native_batch_norm_legit_no_training celu conv1d
conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution cumulative_trapezoid dropout
elu embedding feature_dropout gelu glu grid_sampler grid_sampler_2d group_norm hardshrink hardsigmoid
hardswish hardtanh instance_norm layer_norm leaky_relu log_sigmoid log_softmax max_pool1d max_pool2d
max_pool2d_with_indices max_pool3d mish native_batch_norm native_dropout native_group_norm
native_layer_norm prelu relu6 rms_norm rrelu scaled_dot_product_attention selu silu softmax softplus
softshrink threshold affine_grid_generator upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d _upsample_bicubic2d_aa
_upsample_bilinear2d_aa _upsample_nearest_exact2d _softmax _log_softmax _safe_softmax conv_tbc
_weight_norm lstm gru rnn_tanh rnn_relu lstm_cell gru_cell pairwise_distance pdist cdist
fft_fft fft_fft2 fft_fftn fft_fftshift fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2
fft_irfftn fft_rfft fft_rfft2 fft_rfftn fft_fftfreq fft_rfftfreq
"""
_SIZES = """
sym_size sym_numel sym_stride sym_storage_offset _assert_scalar _assert_tensor_metadata
sym_constrain_range sym_constrain_range_for_size item _local_scalar_dense
"""

TENSOR_OPERATORS = frozenset(
    f"{_ARITHMETIC} {_REDUCTIONS} {_PRODUCTS} {_SHAPES} {_CREATION} {_LAYERS} {_SIZES}".split()
)

# Arithmetic of sizes, by the full name that a graph calls. No power: it may never end.
SIZE_OPERATORS = frozenset(
    (
        *(f"_operator.{name}" for name in ("add", "sub", "mul", "floordiv", "truediv", "mod")),
        *(f"_operator.{name}" for name in ("neg", "eq", "ne", "lt", "le", "gt", "ge", "getitem")),
        *(f"math.{name}" for name in ("ceil", "floor", "trunc", "sqrt")),
        *(f"torch.sym_{name}" for name in ("int", "float", "max", "min", "not")),
    )
)

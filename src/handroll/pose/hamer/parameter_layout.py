"""Names and shapes of the network's parameters in the released checkpoint, for networks of any size."""

from handroll.pose.hamer.settings import PATCH_COLUMNS, PATCH_PX, PATCH_ROWS

POSE = 96
"""Number of outputs for the rotations: 16 joints of 6 numbers each."""

BETAS = 10
"""Number of outputs for the hand's shape."""

CAMERA = 3
"""Number of outputs for the weak-perspective camera."""


def state_shapes(settings):
    """Return names and shapes of all parameters and initial values of the network, in the released order.

    Parameters
    ----------
    settings : settings.HamerSettings

    Returns
    -------
    dict of str to tuple of int
    """
    return _backbone_shapes(settings.backbone) | _head_shapes(settings.decoder)


def _backbone_shapes(sizes):
    """Return names and shapes of the parameters `backbone.*`."""
    dim, hidden = sizes.dim, sizes.mlp_dim
    shapes = {
        # There is one position more than there are patches, for a class token.
        "pos_embed": (1, PATCH_ROWS * PATCH_COLUMNS + 1, dim),
        "patch_embed.proj.weight": (dim, 3, PATCH_PX, PATCH_PX),
        "patch_embed.proj.bias": (dim,),
    }
    for index in range(sizes.depth):
        block = f"blocks.{index}"
        shapes |= _norm(f"{block}.norm1", dim) | _linear(f"{block}.attn.qkv", dim, 3 * dim) | _linear(f"{block}.attn.proj", dim, dim)
        shapes |= _norm(f"{block}.norm2", dim) | _linear(f"{block}.mlp.fc1", dim, hidden) | _linear(f"{block}.mlp.fc2", hidden, dim)
    shapes |= _norm("last_norm", dim)
    return {f"backbone.{name}": shape for name, shape in shapes.items()}


def _head_shapes(sizes):
    """Return names and shapes of the parameters `mano_head.*`."""
    dim, inner = sizes.dim, sizes.inner_dim
    shapes = {"init_hand_pose": (1, POSE), "init_betas": (1, BETAS), "init_cam": (1, CAMERA), "transformer.pos_embedding": (1, 1, dim)}
    shapes |= _linear("transformer.to_token_embedding", 1, dim)
    for index in range(sizes.depth):
        layer = f"transformer.transformer.layers.{index}"
        shapes |= _norm(f"{layer}.0.norm", dim) | {f"{layer}.0.fn.to_qkv.weight": (3 * inner, dim)}
        shapes |= _linear(f"{layer}.0.fn.to_out.0", inner, dim) | _norm(f"{layer}.1.norm", dim)
        shapes |= {f"{layer}.1.fn.to_kv.weight": (2 * inner, sizes.context_dim), f"{layer}.1.fn.to_q.weight": (inner, dim)}
        shapes |= _linear(f"{layer}.1.fn.to_out.0", inner, dim) | _norm(f"{layer}.2.norm", dim)
        shapes |= _linear(f"{layer}.2.fn.net.0", dim, sizes.mlp_dim) | _linear(f"{layer}.2.fn.net.3", sizes.mlp_dim, dim)
    shapes |= _linear("decpose", dim, POSE) | _linear("decshape", dim, BETAS) | _linear("deccam", dim, CAMERA)
    return {f"mano_head.{name}": shape for name, shape in shapes.items()}


def _linear(name, inputs, outputs):
    """Return the shapes of a linear layer's parameters by name. `inputs` and `outputs` are its numbers of channels."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name, dim):
    """Return the shapes of a LayerNorm's parameters by name. `dim` is its number of channels."""
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}

"""The paper's optimizer: momentum SGD with Caffe's weight decay."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_prelu.number_checks import is_real
from keras_prelu.types import Tensor

__all__ = ["SGD"]


@keras.saving.register_keras_serializable("keras_prelu")
class SGD(keras.optimizers.SGD):
    """Momentum SGD with coupled L2 decay of the kernels.

    One step for a kernel `w` with gradient `g` is

    ```
    velocity = momentum * velocity - learning_rate * (g + weight_decay * w)
    w = w + velocity
    ```

    This is Caffe's update, for which the paper chose its values. The `weight_decay` of
    Keras's optimizers is decoupled: it does not go through the momentum, so with a
    momentum of 0.9 the same value decays ten times less. Only weights whose name ends
    in `kernel` decay. Decay would pull the slopes of PReLU layers towards 0, which is
    ReLU. `exclude_from_weight_decay()` excludes more.

    Args:
        learning_rate: Float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: Float in [0, 1].
        weight_decay: Non-negative float, the factor of the L2 penalty.
        **kwargs: Other arguments of `keras.optimizers.SGD`, such as
            `gradient_accumulation_steps`. As in Caffe, gradients are clipped before
            the decay is added. They are clipped after they are summed over the
            replicas, so the result does not depend on the number of replicas.

    Examples:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.compile(keras_prelu.optimizers.SGD(weight_decay=0.001), loss="mse")
        >>> model.optimizer.weight_decay
        0.001

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), sections 2.1 and 3
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
        **kwargs: Any,
    ) -> None:
        if not is_real(weight_decay) or weight_decay < 0:
            raise ValueError(
                "Argument `weight_decay` must be a finite number of at least 0. "
                f"Received: weight_decay={weight_decay!r}"
            )
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=float(weight_decay),
            **kwargs,
        )

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the velocities, and note which variables decay."""
        if self.built:
            return
        if keras.backend.backend() == "tensorflow":
            from keras_prelu import keras_repairs

            keras_repairs.warn_if_replicas_drop_alike()
        super().build(variables)
        # `update_step` may receive a backend's variable, such as one replica's copy in
        # TensorFlow, which does not have its Keras name. Both have the same key.
        self._decaying_keys = frozenset(
            self._var_key(v)
            for v in variables
            if self.decays(v) and self._use_weight_decay(v)
        )

    def decays(self, variable: keras.Variable) -> bool:
        """Return whether a variable decays. Override it to choose other variables."""
        return variable.name.endswith("kernel")

    def update_step(
        self, gradient: Tensor, variable: Any, learning_rate: Tensor
    ) -> None:
        """Add the decay to the gradient of a decaying variable, and take a step."""
        if self.weight_decay and self._var_key(variable) in self._decaying_keys:
            decay = ops.cast(self.weight_decay, variable.dtype)
            gradient = ops.add(
                ops.cast(gradient, variable.dtype), ops.multiply(decay, variable)
            )
        super().update_step(gradient, variable, learning_rate)

    # Keras has no public hook between the sum over replicas and the update. The test
    # `test_overrides_methods_that_keras_still_calls` guards the next three methods.

    def _clip_gradients(self, grads):
        """Clip, unless `_all_reduce_sum_gradients` does it later (on TensorFlow)."""
        if keras.backend.backend() == "tensorflow":
            return grads
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Sum over the replicas, then clip. Keras would clip each replica's part."""
        pairs = super()._all_reduce_sum_gradients(grads_and_vars)
        gradients, variables = zip(*pairs, strict=True)
        gradients = super()._clip_gradients(list(gradients))
        return list(zip(gradients, variables, strict=True))

    def _apply_weight_decay(self, variables):
        """Do nothing: `update_step` has added the decay."""

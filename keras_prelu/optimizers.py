"""The paper's optimizer: momentum SGD whose weight decay is Caffe's."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_prelu")
class SGD(keras.optimizers.SGD):
    """Momentum SGD with coupled L2 decay of the kernels.

    For a kernel `w` with gradient `g`, one step is

    ```
    velocity = momentum * velocity - learning_rate * (g + weight_decay * w)
    w = w + velocity
    ```

    which is the update of Caffe, in which the paper's numbers were set. Keras's own
    `weight_decay` is decoupled: it shrinks `w` beside the momentum, so that with a
    momentum of 0.9 the same number decays ten times less. Only weights whose name ends
    in `kernel` decay: decay would pull a PReLU's slopes towards 0, which is ReLU.

    Args:
        learning_rate: A float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: Float in [0, 1].
        weight_decay: Float, at least 0. The L2 penalty's factor.
        **kwargs: What `keras.optimizers.SGD` takes besides, for instance
            `gradient_accumulation_steps`. Gradients are clipped before the decay is
            added to them, as in Caffe, and after they are summed over the replicas, so
            that the result does not depend on how many there are.

    Examples:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.compile(keras_prelu.optimizers.SGD(weight_decay=0.001), loss="mse")
        >>> model.optimizer.weight_decay
        0.001

    Reference:

    - [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), sections 2.1
      (slopes do not decay) and 3 (0.9 and 0.0005).
    """

    def __init__(self, learning_rate=0.01, momentum=0.9, weight_decay=0.0005, **kwargs):
        if not isinstance(weight_decay, (int, float)) or not weight_decay >= 0:
            raise ValueError(
                "`weight_decay` must be a number of at least 0. "
                f"Received: weight_decay={weight_decay}"
            )
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=float(weight_decay),
            **kwargs,
        )

    def build(self, variables):
        """Creates the velocities and notes which variables decay."""
        if self.built:
            return
        if keras.backend.backend() == "tensorflow":
            from keras_prelu import keras_repairs

            keras_repairs.warn_if_replicas_drop_alike()
        super().build(variables)
        # By key, because `update_step` may be given a backend's own variable (on
        # TensorFlow one replica's copy), which no longer knows its Keras name.
        self._decaying_keys = frozenset(
            self._var_key(v) for v in variables if self.decays(v)
        )

    def decays(self, variable):
        """Returns whether a variable decays; a subclass may choose others."""
        return variable.name.endswith("kernel")

    def update_step(self, gradient, variable, learning_rate):
        """Adds the decay to the gradient where there is one, then takes a step."""
        if self.weight_decay and self._var_key(variable) in self._decaying_keys:
            decay = ops.cast(self.weight_decay, variable.dtype)
            gradient = ops.add(
                ops.cast(gradient, variable.dtype), ops.multiply(decay, variable)
            )
        super().update_step(gradient, variable, learning_rate)

    def _clip_gradients(self, grads):
        """Clips, but on TensorFlow leaves it to the sum over the replicas."""
        if keras.backend.backend() == "tensorflow":
            return grads
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Sums over the replicas, then clips: Keras would clip each one's part."""
        pairs = super()._all_reduce_sum_gradients(grads_and_vars)
        gradients, variables = zip(*pairs, strict=True)
        gradients = super()._clip_gradients(list(gradients))
        return list(zip(gradients, variables, strict=True))

    def _apply_weight_decay(self, variables):
        """Does nothing: Keras would decay beside the momentum here."""

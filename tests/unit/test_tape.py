"""The tape by itself, with toy ops: order, accumulation, freeing, recording, and what it refuses."""

import gc
import threading
import weakref

import numpy as np
import pytest

from chronos.architecture.tape import Op, Tensor, apply, backward, no_grad, recording


class Double(Op):
    """y = 2x."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return (2 * grad,)


class Plus(Op):
    """y = a + b; backward hands the same array to both, as the real Add does."""

    @staticmethod
    def forward(ctx, a, b):
        return a + b

    @staticmethod
    def backward(ctx, grad):
        return grad, grad


class Times(Op):
    """y = a · b."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.saved.update(a=a, b=b)
        return a * b

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved["b"], grad * ctx.saved["a"]


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_a_diamond_visits_each_op_once_after_all_its_users():
    """Depth first from the root would reach `shared` by its short path before the long one is done."""
    x, visited = leaf(3.0), []

    class Loud(Double):
        @staticmethod
        def backward(ctx, grad):
            visited.append(grad.item())
            return (2 * grad,)

    shared = apply(Loud, x)
    far = apply(Double, apply(Double, shared))
    backward(apply(Plus, apply(Plus, shared, far), shared))
    assert visited == [1 + 4 + 1]
    assert x.grad == 12


def test_one_tensor_twice_in_one_op():
    x = leaf(3.0, -2.0)
    backward(apply(Times, x, x))
    assert x.grad.tolist() == [6.0, -4.0]


def test_a_shared_gradient_array_is_not_added_to_in_place():
    """Plus gives one array to a and b; b's second gradient must not show in a's."""
    a, b = leaf(1.0), leaf(1.0)
    left, right = apply(Double, a), apply(Double, b)
    backward(apply(Plus, apply(Plus, left, right), right))
    assert (a.grad.item(), b.grad.item()) == (2, 4)


def test_leaves_own_their_gradients():
    a, b, c = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    seed = np.ones(2)
    backward(apply(Plus, apply(Plus, a, b), c), seed)
    a.grad *= 10
    seed += 7
    assert a.grad.tolist() == [10, 10]
    assert b.grad.tolist() == c.grad.tolist() == [1, 1]


def test_two_backward_calls_accumulate_in_the_leaves():
    x = leaf(3.0)
    for _ in range(2):
        backward(apply(Double, apply(Double, x)))
    assert x.grad == 8


def test_the_given_gradient_is_sent():
    x = leaf(1.0, 1.0)
    backward(apply(Double, x), np.array([0.5, -3.0]))
    assert x.grad.tolist() == [1.0, -6.0]


def test_what_wants_no_gradient_gets_none():
    x, constant = leaf(3.0), Tensor(np.array([5.0]))
    backward(apply(Times, x, constant))
    assert x.grad == 5
    assert constant.grad is None


def test_an_output_that_the_root_does_not_use_gets_no_gradient():
    x, y = leaf(3.0), leaf(4.0)
    apply(Times, x, y)
    backward(apply(Double, x))
    assert x.grad == 2
    assert y.grad is None


def test_absent_inputs_are_passed_as_none():
    class Maybe(Op):
        @staticmethod
        def forward(ctx, x, bias):
            assert bias is None
            return 3 * x

        @staticmethod
        def backward(ctx, grad):
            assert ctx.needs == (True, False)
            return 3 * grad, None

    x = leaf(1.0)
    backward(apply(Maybe, x, None))
    assert x.grad == 3


# ---- memory ------------------------------------------------------------------------------------------------


def test_intermediates_are_freed():
    x = leaf(3.0)
    middle = apply(Double, x)
    root = apply(Times, middle, middle)
    died = [weakref.ref(t.data) for t in (middle, root)]
    backward(root)
    for tensor in (middle, root):
        assert tensor.grad is None and tensor.creator.grad is None
        assert not tensor.creator.inputs and not tensor.creator.saved
    gc.disable()  # reference counts alone must free them: a cycle would keep a step's memory until later
    try:
        del middle, root, tensor
        assert [ref() for ref in died] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("saves", [True, False])
def test_activations_die_as_soon_as_nothing_needs_them(saves):
    """What an op saved dies when backward has passed it; what none saved is gone before. The root is ours."""
    alive: list[weakref.ref] = []
    seen: list[int] = []

    class Watch(Double):
        @staticmethod
        def forward(ctx, x):
            if saves:
                ctx.saved["x"] = x
            out = 2 * x
            alive.append(weakref.ref(out))
            return out

        @staticmethod
        def backward(ctx, grad):
            seen.append(sum(ref() is not None for ref in alive))
            return (2 * grad,)

    y = leaf(1.0)
    for _ in range(5):
        y = apply(Watch, y)
    backward(y)
    assert seen == ([5, 4, 3, 2, 1] if saves else [1] * 5)


def test_an_op_may_pass_no_gradient_on():
    """What lies before it is visited without one, and freed."""

    class Stop(Double):
        @staticmethod
        def backward(ctx, grad):
            return (None,)

    x, y = leaf(1.0), leaf(1.0)
    before = apply(Double, x)
    backward(apply(Plus, apply(Stop, before), y))
    assert x.grad is None and y.grad == 1
    assert before.creator.inputs is None


def test_a_used_history_is_refused():
    """Both would otherwise lose gradients without a word."""
    x = leaf(3.0)
    middle = apply(Double, x)
    one, two = apply(Double, middle), apply(Double, middle)
    backward(one)
    with pytest.raises(AssertionError, match="earlier backward"):
        backward(two)
    with pytest.raises(AssertionError, match="earlier backward"):
        backward(one)


# ---- errors ------------------------------------------------------------------------------------------------


def test_a_gradient_of_the_wrong_shape_names_the_op():
    class Summed(Double):
        @staticmethod
        def backward(ctx, grad):
            return (grad.sum(keepdims=True),)

    with pytest.raises(AssertionError, match=r"Summed\.backward gave \(1,\) for an input \(2,\)"):
        backward(apply(Summed, leaf(1.0, 2.0)))


def test_a_root_gradient_of_the_wrong_shape_is_refused():
    with pytest.raises(AssertionError, match=r"\(3,\) for an input \(2,\)"):
        backward(apply(Double, leaf(1.0, 2.0)), np.ones(3))


def test_too_few_gradients_are_refused():
    class Short(Plus):
        @staticmethod
        def backward(ctx, grad):
            return (grad,)

    with pytest.raises(ValueError, match="shorter"):
        backward(apply(Short, leaf(1.0), leaf(2.0)))


def test_backward_of_nothing_recorded_is_refused():
    with no_grad():
        y = apply(Double, leaf(1.0))
    for root in (y, leaf(1.0), apply(Double, Tensor(np.ones(1)))):
        with pytest.raises(AssertionError, match="no recorded op"):
            backward(root)


# ---- recording ---------------------------------------------------------------------------------------------


def test_no_grad_records_nothing_and_ends_with_its_block():
    x = leaf(1.0)
    with no_grad():
        assert not recording()
        with no_grad():
            pass
        assert not recording()
        assert apply(Double, x).creator is None
    assert recording()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert recording()


def test_ops_know_that_no_gradient_is_wanted():
    """What an op computes for its backward alone (the loss its gradients) it can leave out."""
    needs = []

    class Curious(Double):
        @staticmethod
        def forward(ctx, x):
            needs.append(ctx.needs)
            return 2 * x

    with no_grad():
        apply(Curious, leaf(1.0))
    apply(Curious, leaf(1.0))
    assert needs == [(False,), (True,)]


def test_threads_record_on_their_own():
    """One thread evaluates while another trains; each has its own switch and its own graph."""
    inside, checked = threading.Event(), threading.Event()
    found = {}

    def evaluate():
        with no_grad():
            inside.set()
            checked.wait(5)
            found["evaluated"] = apply(Double, leaf(1.0)).creator

    thread = threading.Thread(target=evaluate)
    thread.start()
    inside.wait(5)
    x = leaf(1.0)
    backward(apply(Double, x))
    checked.set()
    thread.join()
    assert x.grad == 2
    assert found == {"evaluated": None}


def test_a_deep_history_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = apply(Plus, y, x)
    backward(y)
    assert x.grad == 5001

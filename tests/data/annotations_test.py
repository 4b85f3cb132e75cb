import numpy as np
import pytest
from PIL import Image

from keras_prelu import data
from keras_prelu.data.annotations import as_objects
from tests.data.conftest import encoded, wavy_image


class Listed(data.AnnotatedSource):
    """Images and objects in a list."""

    def __init__(self, *images, class_names=("ant", "bee"), **options):
        super().__init__(class_names, **options)
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def image_with(*boxes, labels=None, size=(60, 40)):
    width, height = size
    objects = as_objects(boxes, labels or [0] * len(boxes), [False] * len(boxes))
    return encoded(wavy_image(height, width)), objects


def test_objects_are_arrays_of_fixed_types_also_for_no_objects():
    objects = as_objects([(1, 2, 3, 4)], [1], [True])
    assert [array.dtype for array in objects] == [np.float32, np.int32, bool]
    assert [array.shape for array in objects] == [(1, 4), (1,), (1,)]
    assert [array.shape for array in as_objects([], [], [])] == [(0, 4), (0,), (0,)]


def test_a_checked_read_returns_what_the_source_does():
    source = Listed(image_with((0, 0, 60, 40), (1, 2, 3, 4)), image_with())
    content, objects = source.read(0)
    assert content == source[0][0] and objects is source[0][1]
    assert len(source.read(1)[1].boxes) == 0


@pytest.mark.parametrize(
    "box, reason",
    [
        ((0, 0, np.nan, 4), "is not finite"),
        ((4, 0, 4, 4), r"the box \(4, 0, 4, 4\) has no width"),
        ((0, 4, 4, 3), "has no height"),
        ((-0.51, 0, 4, 4), "reaches outside the image of 60 x 40 pixels"),
        ((0, -0.51, 4, 4), "reaches outside"),
        ((0, 0, 60.51, 4), "reaches outside"),
        ((0, 0, 4, 40.51), "reaches outside"),
    ],
)
def test_a_bad_box_is_named_with_its_image_and_number(box, reason):
    source = Listed(image_with((0, 0, 1, 1), box))
    with pytest.raises(data.DataError, match=f"^image 0, object 2: .*{reason}"):
        source.read(0)


def test_half_a_pixel_outside_is_tolerated():
    Listed(image_with((-0.5, -0.5, 60.5, 40.5))).read(0)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_class_is_named(label):
    source = Listed(image_with((0, 0, 1, 1), labels=[label]))
    with pytest.raises(data.DataError, match=f"object 1: label {label} is not in 0"):
        source.read(0)


def test_boxes_of_a_damaged_image_are_checked_without_its_size():
    objects = as_objects([(0, 0, 900, 900)], [0], [False])
    assert Listed((b"torn", objects)).read(0)[1] is objects
    with pytest.raises(data.DataError, match="no width"):
        Listed((b"torn", as_objects([(2, 0, 1, 1)], [0], [False]))).read(0)


def test_boxes_refer_to_the_upright_image():
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored image is rotated by 90 degrees
    content = encoded(wavy_image(40, 60), exif=exif)
    source = Listed((content, as_objects([(0, 0, 40, 60)], [0], [False])))
    source.read(0)
    with pytest.raises(data.DataError, match="outside the image of 40 x 60"):
        Listed((content, as_objects([(0, 0, 60, 40)], [0], [False]))).read(0)


def test_there_are_no_labels_of_images():
    for source in (Listed(image_with()), data.AnnotatedSubset(Listed(), [])):
        with pytest.raises(TypeError, match="boxes instead of one label per image"):
            source.labels  # noqa: B018


def test_a_subset_has_the_objects_of_its_images():
    images = [image_with((0, 0, n, n)) for n in range(1, 5)]
    source = Listed(*images)
    subset = data.AnnotatedSubset(source, [3, 0], max_bad=0)
    assert isinstance(subset, data.AnnotatedSource)
    assert [subset.objects(i).boxes[0, 2] for i in range(2)] == [4, 1]
    assert subset.read(0) == images[3]
    assert subset.describe(0) == "image 3"
    assert subset.class_names == ["ant", "bee"]
    other = data.AnnotatedSubset(source, [3, 1]).fingerprint()
    assert [*data.differences(subset.fingerprint(), other)][0].startswith("indices")
    with pytest.raises(data.TooManyBadImagesError, match="image 3: torn"):
        subset.skip(0, "torn")


def test_a_subset_for_labels_is_refused():
    with pytest.raises(TypeError, match="Use `AnnotatedSubset`"):
        data.Subset(Listed(image_with()), [0])


@pytest.mark.parametrize("index", [-1, 1, 0.0, False])
def test_indices_of_an_annotated_subset_are_positions_in_its_source(index):
    with pytest.raises(ValueError, match=r"Received: indices\[0\]="):
        data.AnnotatedSubset(Listed(image_with()), [index])


def test_a_subset_for_boxes_of_labeled_images_is_refused(tmp_path):
    source = data.from_files([tmp_path / "1.png"], [0], ["ant"])
    message = "^Argument `source` must .*AnnotatedSource.*Received: source=FileSource$"
    with pytest.raises(TypeError, match=message):
        data.AnnotatedSubset(source, [0])


def test_check_lists_bad_boxes():
    source = Listed(image_with((0, 0, 1, 1)), image_with((0, 0, 61, 1)))
    report = data.check(source, verbose=False)
    assert len(report) == 1 and "reaches outside" in report[0].reason


@pytest.mark.parametrize("batches", ["train_batches", "eval_batches"])
def test_batches_of_labeled_images_refuse_boxes(batches):
    with pytest.raises(TypeError, match="one label per image, not boxes"):
        getattr(data, batches)(Listed(image_with()), 1)

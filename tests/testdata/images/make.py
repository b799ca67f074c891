"""Writes the image files of this folder and what Pillow, NumPy and TensorFlow read from them (expected.json).

    python make.py          # with pillow, numpy and tensorflow installed
"""

import base64
import hashlib
import io
import json
import math
import os
import struct
import zlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from PIL import Image, ImageCms, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
W, H = 37, 29
expected = {}


def scene(w=W, h=H):
    """A smooth picture with an edge and a little noise: not the same mirrored or turned."""
    y, x = np.mgrid[0:h, 0:w]
    r = x * 255 // (w - 1)
    g = y * 255 // (h - 1)
    b = (x * 7 + y * 13) % 256
    picture = np.stack([r, g, b], -1)
    picture[h // 4 : h // 2, w // 5 : w // 3] = [250, 20, 40]
    noise = np.random.RandomState(1).randint(-9, 10, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def alpha(w=W, h=H):
    """0 to 255 over the picture, with nearly transparent parts."""
    y, x = np.mgrid[0:h, 0:w]
    return ((x * 255 // (w - 1)) * (y % 3 > 0)).astype(np.uint8)


RGB = scene()
RGBA = np.dstack([RGB, alpha()])
GRAY = np.array(Image.fromarray(RGB).convert("L"))


def floats(array):
    """float32 values as base64."""
    return base64.b64encode(np.asarray(array).astype("<f4").tobytes()).decode()


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def note(name, reference=None, **more):
    """Keeps what Pillow reads: upright, and as it lies in the file ("ignore")."""
    if reference is None:
        reference = lambda: Image.open(os.path.join(HERE, name))
    entry = {}
    for key, turn in (("apply", ImageOps.exif_transpose), ("ignore", lambda i: i)):
        image = turn(reference())
        entry[key] = {
            "size": [image.height, image.width],
            "rgb": sha(np.array(image.convert("RGB"))),
            "rgba": sha(np.array(image.convert("RGBA"))),
            "grayscale": sha(np.array(image.convert("L"))),
        }
    if entry["apply"] == entry["ignore"]:
        del entry["ignore"]
    expected[name] = {**entry, **more}


def save(name, array_or_image, **options):
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(os.path.join(HERE, name), **options)
    note(name)


def write(name, data, reference=None):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)
    note(name, reference)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour, rows, *, extra=(), interlaced=False, parts=1, filters=None):
    """A PNG by hand: what Pillow does not write. `rows`: bytes of each row, or of each row of each pass."""
    raw = b"".join(bytes([0]) + row for row in rows)
    packed = zlib.compress(raw, 9)
    step = math.ceil(len(packed) / parts)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
        + b"".join(extra)
        + b"".join(chunk(b"IDAT", packed[i : i + step]) for i in range(0, len(packed), step))
        + chunk(b"IEND", b"")
    )


def bits(values, depth):
    """Packs a row of small values."""
    text = "".join(format(int(v), f"0{depth}b") for v in values)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def interlace(array):
    """The rows of the seven passes, pixels as arrays."""
    for x, y, dx, dy in PASSES:
        part = array[y::dy, x::dx]
        if part.size:
            yield from part


# --- PNG
save("rgb.png", RGB)
save("rgba.png", RGBA)
save("gray.png", GRAY)
save("gray_alpha.png", Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(alpha())]))
save("one_bit.png", Image.fromarray(GRAY).convert("1"))
palette = Image.fromarray(RGB).quantize(61)
save("palette.png", palette)
save("palette_16.png", Image.fromarray(RGB).quantize(16))
save("palette_alpha.png", palette, transparency=bytes(range(0, 244, 4)))
save("palette_one_transparent.png", palette, transparency=7)
save("rgb_key.png", Image.fromarray(RGB), transparency=tuple(int(v) for v in RGB[3, 4]))
save("gray_key.png", Image.fromarray(GRAY), transparency=int(GRAY[3, 4]))
write("gray_2_bit.png", png(W, H, 2, 0, [bits(row // 64, 2) for row in GRAY]))
write("gray_4_bit.png", png(W, H, 4, 0, [bits(row // 16, 4) for row in GRAY], parts=3))
write("interlaced_rgb.png", png(W, H, 8, 2, [r.tobytes() for r in interlace(RGB)], interlaced=True))
write("interlaced_one_bit.png", png(W, H, 1, 0, [bits(r, 1) for r in interlace(GRAY // 128)], interlaced=True))
write(
    "interlaced_tiny.png",
    png(3, 2, 8, 6, [r.tobytes() for r in interlace(RGBA[:2, :3])], interlaced=True),
)
# Pillow clips gray of 16 bits; the upper 8 are what TensorFlow keeps, and Pillow of colour.
write(
    "gray_16_bit.png",
    png(W, H, 16, 0, [(row.astype(np.uint32) * 257 - 3).clip(0, 65535).astype(">u2").tobytes() for row in GRAY]),
    lambda: Image.fromarray(((GRAY.astype(np.uint32) * 257 - 3).clip(0, 65535) >> 8).astype(np.uint8)),
)
write("rgb_16_bit.png", png(W, H, 16, 2, [(row.astype(np.uint16) * 256 + 99).astype(">u2").tobytes() for row in RGB]))
write("rgba_16_bit.png", png(W, H, 16, 6, [(row.astype(np.uint16) * 256 + 99).astype(">u2").tobytes() for row in RGBA]))
write("gamma.png", png(W, H, 8, 2, [r.tobytes() for r in RGB], extra=[chunk(b"gAMA", struct.pack(">I", 100000))]))
exif6 = Image.Exif()
exif6[0x0112] = 6
save("exif_6.png", RGB, exif=exif6)
with open(os.path.join(HERE, "rgb.png"), "rb") as file:
    write("trailing.png", file.read() + b"tail IEND \xff\xd9 tail")

# --- JPEG
save("444.jpg", RGB, quality=92, subsampling=0)
save("420.jpg", RGB, quality=80, subsampling=2)
save("progressive.jpg", RGB, quality=85, progressive=True)
save("gray.jpg", GRAY, quality=85)
save("cmyk.jpg", Image.fromarray(RGB).convert("CMYK"), quality=85)
save("restart.jpg", RGB, quality=85, restart_marker_blocks=2)
for value in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = value
    save(f"exif_{value}.jpg", RGB, quality=85, exif=exif)
exif = Image.Exif()
exif.endian = "<"
exif._info = None
exif[0x010F] = "maker"
exif[0x0112] = 8
data = exif.tobytes()
save("exif_8_intel.jpg", RGB, quality=85, exif=data)
# A thumbnail inside: its end mark is not the photo's.
thumb = io.BytesIO()
Image.fromarray(RGB[::4, ::4]).save(thumb, "JPEG")
plain = io.BytesIO()
Image.fromarray(RGB).save(plain, "JPEG", quality=85)
plain = plain.getvalue()
inside = b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumb.getvalue()
write("thumbnail.jpg", plain[:2] + b"\xff\xe1" + struct.pack(">H", len(inside) + 2) + inside + plain[2:])
write("trailing.jpg", plain + b"tail \xff\xd8 tail \xff\xd9 tail")

save("422.jpg", RGB, quality=85, subsampling=1)
# Sizes of no whole blocks, and values that no photo has.
for name, (w, h), options in (
    ("narrow_422.jpg", (5, 40), {"quality": 90, "subsampling": 1}),
    ("narrowest_420.jpg", (3, 9), {"quality": 90, "subsampling": 2}),
    ("loud_444.jpg", (23, 18), {"quality": 5, "subsampling": 0}),
    ("loud_420.jpg", (33, 17), {"quality": 100, "subsampling": 2, "optimize": True}),
    ("coarse_420.jpg", (40, 35), {"quality": 1, "subsampling": 2}),
    ("restart_422.jpg", (35, 9), {"quality": 75, "subsampling": 1, "restart_marker_blocks": 1}),
    ("progressive_420.jpg", (35, 18), {"quality": 60, "subsampling": 2, "progressive": True}),
    ("progressive_422.jpg", (21, 20), {"subsampling": 1, "progressive": True, "restart_marker_blocks": 2}),
):
    save(name, np.random.RandomState(5).randint(0, 2, (h, w, 3)).astype(np.uint8) * 255, **options)
save("rgb_encoded.jpg", RGB, quality=85, keep_rgb=True)
# Profiles of other primaries and tone curves: values are taken as they are.
profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
count = struct.unpack(">I", profile[128:132])[0]
tags = {bytes(profile[132 + 12 * i : 136 + 12 * i]): struct.unpack(">II", profile[136 + 12 * i : 144 + 12 * i]) for i in range(count)}
for tag, xyz in ((b"rXYZ", (0.6097, 0.3111, 0.0195)), (b"gXYZ", (0.2053, 0.6257, 0.0609)), (b"bXYZ", (0.1492, 0.0632, 0.7446))):
    at = tags[tag][0] + 8
    profile[at : at + 12] = struct.pack(">iii", *(round(v * 65536) for v in xyz))
profile = bytes(profile)
save("profile.jpg", RGB, quality=85, icc_profile=profile)
save("profile_gray.jpg", GRAY, quality=85, icc_profile=profile)
save("profile_cmyk.jpg", Image.fromarray(RGB).convert("CMYK"), quality=85, icc_profile=profile)
save("profile.webp", RGB, quality=80, icc_profile=profile)

# --- WebP
save("lossy.webp", RGB, quality=80)
save("lossless.webp", RGB, lossless=True)
save("lossy_alpha.webp", RGBA, quality=80, exact=True)
save("lossless_alpha.webp", RGBA, lossless=True, exact=True)
save("exif_6.webp", RGB, quality=80, exif=exif6)
save("exif_3_alpha.webp", RGBA, lossless=True, exact=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0")
save("animated.webp", RGB, save_all=True, append_images=[Image.fromarray(RGB[:, ::-1])], lossless=True)

# --- GIF
save("plain.gif", Image.fromarray(RGB).quantize(64))
save("interlaced.gif", Image.fromarray(RGB).quantize(256), interlace=True)
save("transparent.gif", Image.fromarray(RGB).quantize(32), transparency=5)
save("gray.gif", GRAY)
save(
    "animated.gif",
    Image.fromarray(RGB).quantize(64),
    save_all=True,
    append_images=[Image.fromarray(RGB[::-1]).quantize(64)],
)
noise = np.random.RandomState(3).randint(0, 256, (90, 91), dtype=np.uint8)
save("full_table.gif", noise)
with open(os.path.join(HERE, "plain.gif"), "rb") as file:
    gif = bytearray(file.read())
# The same frame on a larger canvas, moved: the rest is bare.
at = gif.index(b",\0\0\0\0" + struct.pack("<HH", W, H))
gif[6:10] = struct.pack("<HH", W + 9, H + 5)
gif[at + 1 : at + 5] = struct.pack("<HH", 4, 2)
write("small_frame.gif", bytes(gif))
with open(os.path.join(HERE, "transparent.gif"), "rb") as file:
    gif = bytearray(file.read())
at = gif.index(b",\0\0\0\0" + struct.pack("<HH", W, H))
gif[6:10] = struct.pack("<HH", W + 9, H + 5)
gif[at + 1 : at + 5] = struct.pack("<HH", 4, 2)
write("small_frame_transparent.gif", bytes(gif))

# --- BMP
save("24_bit.bmp", RGB)
save("8_bit.bmp", Image.fromarray(RGB).quantize(200))
save("gray.bmp", GRAY)
save("1_bit.bmp", Image.fromarray(GRAY).convert("1"))
save("32_bit.bmp", RGBA)


def bmp(depth, body, *, width=W, height=H, compression=0, palette=b"", masks=b"", header=40):
    offset = 14 + header + (len(masks) if header == 40 else 0) + len(palette)
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, depth, compression, len(body), 0, 0, len(palette) // 4, 0)
    info += masks if header == 40 else masks + bytes(header - 40 - len(masks))
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def rows(values, line):
    """Bottom row first, each filled up to 4 bytes."""
    out = b""
    for row in values[::-1]:
        data = line(row)
        out += data + bytes(-len(data) % 4)
    return out


quantized = Image.fromarray(RGB).quantize(16)
indices = np.array(quantized)
colours = np.array(quantized.getpalette()[:48]).reshape(16, 3)
colours4 = b"".join(bytes([int(b), int(g), int(r), 0]) for r, g, b in colours)
write("4_bit.bmp", bmp(4, rows(indices, lambda r: bits(r, 4)), palette=colours4))
write("top_down.bmp", bmp(24, rows(RGB[::-1], lambda r: r[:, ::-1].tobytes()), height=-H))
packed = (RGB.astype(np.uint16) >> 3) @ np.array([1024, 32, 1], dtype=np.uint16)
write("555.bmp", bmp(16, rows(packed, lambda r: r.astype("<u2").tobytes())))
shifted = RGB.astype(np.uint16) >> np.array([3, 2, 3], dtype=np.uint16)
packed = shifted @ np.array([2048, 32, 1], dtype=np.uint16)
write(
    "565.bmp",
    bmp(16, rows(packed, lambda r: r.astype("<u2").tobytes()), compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
)
write("32_bit_plain.bmp", bmp(32, rows(RGBA, lambda r: r[:, [2, 1, 0, 3]].tobytes())))
write(
    "32_bit_masks.bmp",
    bmp(32, rows(RGBA, lambda r: r[:, [2, 1, 0, 3]].tobytes()), compression=3, header=108,
        masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
)


def rle8(row):
    out = b""
    x = 0
    while x < len(row):
        run = 1
        while x + run < len(row) and run < 255 and row[x + run] == row[x]:
            run += 1
        if run >= 2 or len(row) - x < 3:
            out += bytes([run, int(row[x])])
            x += run
        else:
            out += bytes([0, 3]) + bytes(int(v) for v in row[x : x + 3]) + b"\0"
            x += 3
    return out + b"\0\0"


body = b"".join(rle8(row) for row in indices[::-1])[:-2] + b"\0\1"
write("rle8.bmp", bmp(8, body, compression=1, palette=colours4))


def rle4(row):
    out = b""
    for x in range(0, len(row), 6):
        part = [int(v) for v in row[x : x + 6]]
        if len(part) < 3:
            out += b"".join(bytes([1, v << 4]) for v in part)
        else:
            data = bits(part, 4)
            out += bytes([0, len(part)]) + data + bytes(len(data) % 2)
    return out + b"\0\0"


body = b"".join(rle4(row) for row in indices[::-1])[:-2] + b"\0\1"
write("rle4.bmp", bmp(4, body, compression=2, palette=colours4))

# --- resizing, by TensorFlow
small = {}
resized = {}
for method in ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"):
    for h, w in ((8, 6), (41, 50), (29, 10), (1, 1)):
        values = tf.image.resize(RGB, (h, w), method=method).numpy()
        resized[f"{method} {h}x{w}"] = floats(values.ravel()[:: 1 if h < 29 else 23])
from keras.src.utils.image_dataset_utils import _load_image_tf

for h, w in ((16, 16), (20, 9), (50, 31)):
    for key in ("crop", "pad"):
        values = _load_image_tf(
            os.path.join(HERE, "rgb.png"), (h, w), 3, "bilinear", "channels_last",
            crop_to_aspect_ratio=key == "crop", pad_to_aspect_ratio=key == "pad",
        ).numpy()
        resized[f"{key} {h}x{w}"] = floats(values.ravel()[:: 1 if h < 20 else 7])
# A large one: there float32 positions matter.
save("strip.png", scene(101, 3))
big = np.tile(scene(101, 3), (1, 40, 1))
values = tf.image.resize(big, (2, 333)).numpy()
resized["big"] = floats(values)

# --- a folder of classes, by Keras
import keras

FLOWERS = os.path.join(HERE, "flowers")
random = np.random.RandomState(7)
for path in (
    "daisy/10.png daisy/2.PNG daisy/B.gif daisy/a.bmp daisy/more/1.png daisy/more-1/x.png daisy/more/deep/z.png "
    "Rose/1.png Rose/2.png Rose/3.png Rose/4.png "
    "tulip/1.png tulip/2.png tulip/3.png tulip/4.png tulip/5.png tulip/6.png tulip/7.png"
).split():
    file = os.path.join(FLOWERS, path)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    shape = (int(random.randint(8, 14)), int(random.randint(8, 14)), 3)
    base = random.randint(0, 256, 3)
    array = np.clip(base + random.randint(-40, 41, shape), 0, 255).astype(np.uint8)
    image = Image.fromarray(array)
    (image.quantize(16) if path.endswith("gif") else image).save(file)
for path in ("daisy/.DS_Store", "daisy/Thumbs.db", "daisy/notes.txt", "readme.txt", ".hidden/1.png"):
    file = os.path.join(FLOWERS, path)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w") as out:
        out.write("no image\n")
keras_says = {}
for name, options in {
    "seed 42": {"seed": 42},
    "seed 7, one-hot, two classes": {"seed": 7, "label_mode": "categorical", "class_names": ["tulip", "daisy"]},
    "not shuffled": {"shuffle": False},
}.items():
    train, validation = keras.utils.image_dataset_from_directory(
        FLOWERS, image_size=(6, 5), batch_size=4, validation_split=0.3, subset="both", verbose=False, **options
    )
    relative = lambda paths: [os.path.relpath(p, FLOWERS) for p in paths]
    keras_says[name] = {
        "classNames": train.class_names,
        "train": sorted(relative(train.file_paths)),
        "validation": relative(validation.file_paths),
        "batches": [
            {"xs": floats(xs), "ys": ys.numpy().astype(int).tolist()}
            for xs, ys in validation
        ],
    }

# --- shuffling, by NumPy
shuffles = {}
for seed in (0, 42, 1337, 4294967295):
    for n in (1, 2, 10, 700):
        order = list(range(n))
        np.random.RandomState(seed).shuffle(order)
        shuffles[f"{seed} {n}"] = order if n <= 10 else sha(np.array(order, dtype="<u4"))

with open(os.path.join(HERE, "expected.json"), "w") as file:
    json.dump({"files": expected, "resized": resized, "shuffles": shuffles, "keras": keras_says}, file, indent=2)
    file.write("\n")

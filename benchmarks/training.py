"""Keras's side of the training benchmarks: trains a job of `training.ts`, and prints the seconds of each epoch as JSON.

    python training.py reference|digits|separable EPOCHS
    python training.py images FOLDER
"""
import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

CLASSES = 10


def reference():
    blocks = [[layers.Conv2D(n, 3, padding="same", activation="relu"), layers.MaxPool2D()] for n in (16, 32, 64)]
    return keras.Sequential(
        [keras.Input((64, 64, 3)), *sum(blocks, []), layers.Flatten(), layers.Dense(128, activation="relu")]
        + [layers.Dense(CLASSES, activation="softmax")]
    )


def digits():
    blocks = [[layers.Conv2D(n, 5, padding="same", activation="relu"), layers.MaxPool2D()] for n in (16, 32)]
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), *sum(blocks, []), layers.Flatten(), layers.Dropout(0.5)]
        + [layers.Dense(128, activation="relu"), layers.Dropout(0.3), layers.Dense(CLASSES, activation="softmax")]
    )


def separable():
    def normalized(convolution):
        return [convolution, layers.BatchNormalization(), layers.Activation("relu")]

    model = [keras.Input((96, 96, 3))]
    model += normalized(layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False))
    for filters, strides in ((32, 1), (64, 2), (64, 1), (128, 2)):
        model += normalized(layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False))
        model += normalized(layers.Conv2D(filters, 1, padding="same", use_bias=False))
    return keras.Sequential([*model, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")])


JOBS = {
    "reference": (1024, (64, 64, 3), reference),
    "digits": (2400, (28, 28, 1), digits),
    "separable": (512, (96, 96, 3), separable),
}


class Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.begin)
        self.loss = logs["loss"]


def train(name, epochs):
    count, shape, build = JOBS[name]
    y = np.arange(count) % CLASSES
    x = np.random.default_rng(0).random((count, *shape), dtype=np.float32) * 0.5
    for i, label in enumerate(y):
        x[i, :, :, label % shape[2]] += label * 0.05
    model = build()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=[clock])
    return {"seconds": clock.seconds, "loss": clock.loss}


def images(folder):
    """Images a second, from the folder to tensors, three times."""
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        dataset = keras.utils.image_dataset_from_directory(
            folder, image_size=(64, 64), batch_size=32, shuffle=False, verbose=False
        )
        count = sum(len(x) for x, _ in dataset)
        rates.append(count / (time.perf_counter() - begin))
    return {"rates": rates}


job, argument = sys.argv[1:]
print(json.dumps(images(argument) if job == "images" else train(job, int(argument))))

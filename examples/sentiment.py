"""Does a film review praise or pan? An LSTM reads it word by word, and its last state decides.

Source: the IMDB example of Keras: 20,000 words, texts cut to 100, embedding and LSTM of 128,
dropout, one sigmoid output, binary cross entropy, Adam, batches of 32. There shorter texts are
padded to 100 words; here the LSTM is told their lengths, which gives the same states in a fifth
of the time where texts are sentences. Of the training texts a tenth is kept back, to stop by and
to choose the epoch whose weights count; the test texts are read once, at the very end.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.datasets.sentiment import UNKNOWN, get_sentiment
from dynet.optimizers import Adam
from dynet.training import EarlyStopping, Interruption, Log, progress


class Sentiment(dynet.Chain):
    def __init__(self, words, embedding, hidden, dropout, bidirectional, rng):
        super().__init__()
        self.dropout, initial = dropout, dynet.initializers.LeCunNormal(rng=rng)
        LSTM = L.NStepBiLSTM if bidirectional else L.NStepLSTM
        with self.init_scope():
            self.embed = L.EmbedID(words, embedding, dynet.initializers.Normal(0.1, rng=rng))
            self.rnn = LSTM(1, embedding, hidden, initialW=initial)
            self.out = L.Linear(hidden * (1 + bidirectional), 1, initialW=initial)

    def forward(self, ids, lengths):  # (words, texts), (texts,); scores (texts,), praise above 0
        x = F.dropout(self.embed(ids), self.dropout)
        hy, _, _ = self.rnn(None, None, x, lengths=lengths)
        h = F.concat([*hy], axis=1)  # the last state of each text, of each direction
        return self.out(F.dropout(h, self.dropout))[:, 0]


def load(args):  # ids of words, labels: to train, to validate and to test with; how many words
    options = {"vocabulary_size": args.vocabulary, "length": None}
    train, test, words = get_sentiment(args.data, **options)
    kept = len(train.labels) // 10  # their order is a shuffled one
    if kept == 0 or len(test.labels) == 0:
        raise ValueError(
            f"there are {len(train.labels)} texts to train and {len(test.labels)} to test with, "
            "expected 10 and 1 at least"
        )
    parts = (train.texts[kept:], train.labels[kept:]), (train.texts[:kept], train.labels[:kept])
    parts = [([text[-args.length :] for text in x], t) for x, t in (*parts, test)]
    return parts, len(words)


def batches(texts, labels, size, rng):
    """Padded ids (words, texts), lengths and labels, in random order; long texts among long ones,
    so that there is little padding: texts in the order of their blurred lengths, batches shuffled.
    """
    lengths = np.array([len(text) for text in texts])
    order = np.argsort(lengths * rng.uniform(1, 1.3, len(texts)))
    starts = rng.permutation(range(0, len(texts), size))
    for rows in (order[i : i + size] for i in starts):
        ids = np.zeros((lengths[rows].max(), len(rows)), np.int32)
        for column, row in enumerate(rows):
            ids[: lengths[row], column] = texts[row]
        yield ids, lengths[rows], labels[rows]


def measure(model, ids, lengths, labels):  # loss and accuracy
    ids, labels = model.device.send([ids, labels])
    y = model(ids, lengths)
    return F.sigmoid_cross_entropy(y, labels), F.binary_accuracy(y, labels)


def evaluate(model, texts, labels):  # mean loss and accuracy
    sums = np.zeros(2)
    with dynet.no_backprop_mode(), dynet.using_config("train", False):
        for batch in batches(texts, labels, 100, np.random.default_rng(0)):
            sums += [len(batch[2]) * value.item() for value in measure(model, *batch)]
    return sums / len(labels)


def main(args):
    (train, validation, test), words = load(args)
    dynet.random.seed(args.seed)  # dropout's
    rng = np.random.default_rng(args.seed)  # that of the weights and the order
    sizes = args.embedding, args.hidden, args.dropout, args.bidirectional
    model = Sentiment(words, *sizes, rng).to_device(args.device)
    optimizer = Adam(args.lr).setup(model)
    updates = args.epochs * -(-len(train[1]) // args.batchsize)

    args.out.mkdir(parents=True, exist_ok=True)
    log, stopping = Log(args.out / "log.jsonl"), EarlyStopping(args.patience, "max")
    with Interruption() as interrupted:
        for epoch in range(1, args.epochs + 1):
            bar = progress([*batches(*train, args.batchsize, rng)], f"epoch {epoch}")
            for ids, lengths, labels in bar:
                optimizer.alpha = args.lr * (1 - optimizer.t / updates)
                # Words forgotten at random: the vector of unknown ones learns what to say.
                ids[rng.random(ids.shape) < args.forget] = UNKNOWN
                loss, accuracy = measure(model, ids, lengths, labels)
                model.cleargrads()
                loss.backward()
                optimizer.update()
                bar.add(len(labels), train_loss=loss, train_accuracy=accuracy)
                if interrupted:
                    break
            loss, accuracy = evaluate(model, *validation)
            log.write(epoch=epoch, **bar.means, validation_loss=loss, validation_accuracy=accuracy)
            log.plot(args.out / "curve.png", "loss", "accuracy")
            print(f"validation: loss {loss:.4f}, accuracy {accuracy:.4f}")
            stop = stopping.should_stop(accuracy)
            if epoch == 1 or stopping.count == 0:  # the best so far
                dynet.serializers.save_npz(args.out / "model.npz", model)
            if stop or interrupted:
                break
    dynet.serializers.load_npz(args.out / "model.npz", model)
    _, accuracy = evaluate(model, *test)
    right = round(accuracy * len(test[1]))
    print(f"Of {len(test[1])} held-out texts it judges {right} right: accuracy {accuracy:.4f}.")


def arguments():
    parser = argparse.ArgumentParser(description="Train an LSTM to tell praise from its contrary.")
    add = parser.add_argument
    add("--data", help="folder with rt-polarity.neg and .pos, or aclImdb; else it is downloaded")
    sizes = {"epochs": 6, "batchsize": 32, "vocabulary": 20_000, "length": 100, "patience": 3}
    for name, default in (sizes | {"embedding": 128, "hidden": 128, "seed": 0}).items():
        add(f"--{name}", type=int, default=default)
    add("--lr", type=float, default=0.0015, help="Adam's step size, which falls to 0")
    add("--dropout", type=float, default=0.6, help="of the embedding, and before the output")
    add("--forget", type=float, default=0.3, help="the part of words made unknown, in training")
    add("--bidirectional", action="store_true", help="read from the end to the beginning, too")
    add("--out", type=Path, default=Path("result_sentiment"), help="folder for log, curve, model")
    add("--device", default="cpu", help="cpu or cuda:N")
    args = parser.parse_args()
    if min(args.epochs, args.batchsize, args.length) < 1:
        parser.error("--epochs, --batchsize and --length take numbers from 1 up")
    return args


if __name__ == "__main__":
    try:
        main(arguments())
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"sentiment: {error}")

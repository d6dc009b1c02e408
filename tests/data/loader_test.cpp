#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

#include "data/prefetch.h"
#include "encoded_images.h"
#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

const InputSignature kModel = {model_input("x", DType::Float32, {-1, 1})};

/// Records 0 to count - 1; the column and the label are the index.
std::string table(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + "," + std::to_string(i) + "\n";
  return text;
}

struct Table {
  explicit Table(int count) { folder.write("a.csv", table(count)); }
  std::string keys(const std::string& more = "") const {
    return "{format: csv, path: " + folder.path("a.csv") + more + "}";
  }
  TemporaryFolder folder;
};

}  // namespace

TEST_CASE("a pass gives every record once, in order, with its position", "[data][loader]") {
  const Table records(10);
  const DataSource source = open_source("eval: " + records.keys(", batch_size: 4"), kModel);
  const std::vector<Batch> batches = read_all(source);
  REQUIRE(batches.size() == 3);
  CHECK(batches[1].first == 4);
  CHECK(batches[1].count == 4);
  CHECK(batches[2].count == 2);
  CHECK(batches[2].inputs[0].shape() == Shape{2, 1});
  CHECK(read_labels(source) == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(read_all(source, {.batch_size = 3, .drop_last = true}).size() == 3);
  CHECK(source.batch_size() == 4);
}

TEST_CASE("the shares of several processes are one pass together, and equally long", "[data][loader]") {
  const Table records(7);
  const DataSource source = open_source("eval: " + records.keys(", batch_size: 2"), kModel);
  std::vector<int64_t> seen;
  for (int64_t rank = 0; rank < 3; ++rank) {  // batches 01 23 45 6 over three processes
    const std::vector<Batch> share = read_all(source, {.first_batch = rank, .stride = 3});
    REQUIRE(share.size() == 2);
    CHECK(share[0].first == 2 * rank);
    CHECK(share[0].count == 2);
    CHECK(share[1].count == (rank == 0 ? 1 : 0));
    CHECK(share[1].inputs[0].shape() == Shape{rank == 0 ? 1 : 2, 1});  // samples to keep step with
    const std::vector<int64_t> labels = read_labels(source, {.first_batch = rank, .stride = 3});
    seen.insert(seen.end(), labels.begin(), labels.end());
  }
  std::ranges::sort(seen);
  CHECK(seen == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6});
  const std::vector<Batch> rest = read_all(source, {.first_batch = 4, .stride = 3});  // the second process, its first batch done
  REQUIRE(rest.size() == 1);
  CHECK(rest[0].count == 0);
  CHECK(read_all(source, {.first_batch = 3}).size() == 1);
}

TEST_CASE("batches do not depend on the number of workers", "[data][loader]") {
  const Table records(1000);
  const DataSource source =
      open_source("train: " + records.keys(", batch_size: 7"), kModel, "train", 5);
  const std::vector<int64_t> one = read_labels(source, {.epoch = 3, .workers = 1});
  CHECK(read_labels(source, {.epoch = 3, .workers = 4}) == one);
  CHECK(read_labels(source, {.epoch = 4, .workers = 4}) != one);
  CHECK(read_labels(open_source("train: " + records.keys(", batch_size: 7"), kModel, "train", 6),
                    {.epoch = 3}) != one);

  std::vector<int64_t> sorted = one;
  std::ranges::sort(sorted);
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  CHECK(sorted == all);
}

TEST_CASE("augmented images do not depend on the number of workers, but on the epoch",
          "[data][loader]") {
  const TemporaryFolder folder;
  std::string records;
  for (int i = 0; i < 40; ++i) {
    records += '\1';
    for (int pixel = 0; pixel < 3072; ++pixel) records += static_cast<char>(pixel * 31 + i);
  }
  folder.write("test_batch.bin", records);
  const DataSource source = open_source(
      "eval: {format: cifar10, split: test, batch_size: 8, augment: [{random_crop: 4}, flip], "
      "path: " +
          folder.path() + "}",
      {model_input("x", DType::Float32, {-1, 3, 32, 32})});
  const auto pixels = [&](const DataSource::Pass& pass) {
    std::vector<float> values;
    for (const Batch& batch : read_all(source, pass)) {
      const std::vector<float> part = batch.inputs[0].to_floats();
      values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  };
  const std::vector<float> one = pixels({.workers = 1});
  CHECK(pixels({.workers = 4}) == one);
  CHECK(pixels({.epoch = 1}) != one);
}

TEST_CASE("only the set named train is shuffled unless shuffle says otherwise", "[data][loader]") {
  const Table records(50);
  const std::vector<int64_t> stored = read_labels(open_source("eval: " + records.keys(), kModel));
  CHECK(stored[0] == 0);
  CHECK(std::ranges::is_sorted(stored));
  CHECK_FALSE(std::ranges::is_sorted(
      read_labels(open_source("train: " + records.keys(), kModel, "train"))));
  CHECK(std::ranges::is_sorted(
      read_labels(open_source("train: " + records.keys(", shuffle: false"), kModel, "train"))));
  CHECK_FALSE(std::ranges::is_sorted(
      read_labels(open_source("eval: " + records.keys(", shuffle: true"), kModel))));
}

TEST_CASE("limit takes the first records and samples a seeded subset", "[data][loader]") {
  const Table records(100);
  CHECK(read_labels(open_source("eval: " + records.keys(", limit: 3"), kModel)) ==
        std::vector<int64_t>{0, 1, 2});
  const auto subset = [&](uint64_t seed) {
    return read_labels(
        open_source("eval: " + records.keys(", limit: 50, samples: 10"), kModel, "eval", seed));
  };
  std::vector<int64_t> drawn = subset(1);
  CHECK(drawn == subset(1));
  CHECK(drawn != subset(2));
  std::ranges::sort(drawn);
  CHECK(std::ranges::adjacent_find(drawn) == drawn.end());
  CHECK(drawn.back() < 50);
  CHECK(drawn.size() == 10);
}

TEST_CASE("a set from another one inherits its keys and draws from its records", "[data][loader]") {
  const Table records(100);
  const std::string yaml = "train: " + records.keys(", limit: 20, scale: 2, batch_size: 5") +
                           "\ncalibration: {from: train, samples: 6}\nplain: {from: calibration, "
                           "scale: 1, samples: 2}\n";
  const DataSource calibration = open_source(yaml, kModel, "calibration");
  CHECK(calibration.size() == 6);
  CHECK(calibration.batch_size() == 5);
  CHECK(calibration.describe() == "csv " + records.folder.path("a.csv") + " (6 of 100 samples)");
  const std::vector<int64_t> labels = read_labels(calibration);
  CHECK(std::ranges::max(labels) < 20);
  CHECK(labels == read_labels(calibration, {.epoch = 1}));  // train's shuffle is not inherited
  CHECK(read_all(calibration).at(0).inputs[0].to_floats()[0] == static_cast<float>(labels[0]) / 2);

  const DataSource plain = open_source(yaml, kModel, "plain");
  const std::vector<int64_t> two = read_labels(plain);
  CHECK(two.size() == 2);
  for (const int64_t label : two) CHECK(std::ranges::count(labels, label) == 1);
  CHECK(read_all(plain).at(0).inputs[0].to_floats()[0] == static_cast<float>(two[0]));
}

TEST_CASE("mistakes in a set are named with file, line and what to do", "[data][loader]") {
  const Table records(10);
  const auto problem = [&](const std::string& yaml) {
    return problem_of<ConfigError>([&] { open_source(yaml, kModel); });
  };
  const Problem unknown = problem("eval: " + records.keys(", bach_size: 4"));
  CHECK(contains(unknown.where, "recipe.yaml:1 (data.eval.bach_size)"));
  CHECK(contains(unknown.fix, "batch_size"));
  CHECK(contains(problem("eval: {format: cvs, path: a}").fix, "did you mean \"csv\"?"));
  CHECK(contains(problem("eval: {path: a}").where, "data.eval.format"));
  CHECK(contains(problem("eval: {from: trian}\ntrain: {format: random}").fix, "train"));
  CHECK(contains(problem("eval: {from: train}\ntrain: {from: eval}").what,
                 "in a circle: eval from train, eval"));
  CHECK(problem("train: {format: random}").what == "there is no data set \"eval\"");
  CHECK(problem("eval: " + records.keys(", samples: 11")).what == "samples is 11, there are 10");
  CHECK(contains(problem("eval: " + records.keys(", resize: 4")).what, "\"resize\" is no key"));
}

TEST_CASE("a model with a fixed batch gets full batches, the last filled up with its last sample",
          "[data][loader]") {
  const Table records(5);
  const DataSource source = open_source("eval: " + records.keys(", batch_size: 128"),
                                        {model_input("x", DType::Float32, {4, 1})});
  CHECK(source.batch_size() == 4);
  const std::vector<Batch> batches = read_all(source, {.batch_size = 2});
  REQUIRE(batches.size() == 2);
  CHECK(batches[1].count == 1);
  CHECK(batches[1].inputs[0].to_floats() == std::vector<float>{4, 4, 4, 4});
  CHECK(batches[1].labels->to_integers() == std::vector<int64_t>{4, 4, 4, 4});
  CHECK(read_all(source, {.drop_last = true}).size() == 1);
}

TEST_CASE("inputs without a common batch axis are refused", "[data][loader]") {
  const Table records(5);
  const Problem problem = problem_of<ShapeError>(
      [&] { open_source("eval: " + records.keys(), {model_input("x", DType::Float32, {})}); });
  CHECK(contains(problem.what, "it has no batch axis"));
  CHECK(contains(problem.where, "data.eval (csv "));
}

TEST_CASE("labels outside the declared classes are named with their record", "[data][loader]") {
  const Table records(5);
  const Problem problem = problem_of<ResourceError>(
      [&] { open_source("eval: " + records.keys(", classes: 4"), kModel); });
  CHECK(problem.what == "the label is 4, the classes are 0 to 3");
  CHECK(problem.where == "data.eval, " + records.folder.path("a.csv") + ":5, record 4");
  CHECK(open_source("eval: " + records.keys(", classes: 4, limit: 4"), kModel).size() == 4);  // of the records that are used

  records.folder.write("a.csv", "0,1\n1,-100\n");
  CHECK(read_labels(open_source("eval: " + records.keys(", classes: 4"), kModel)) == std::vector<int64_t>{1, -100});
  records.folder.write("a.csv", "0,1\n1,-1\n");
  CHECK_THROWS_WITH(open_source("eval: " + records.keys(", classes: 4"), kModel), Catch::Contains("the label is -1"));
}

TEST_CASE("labels outside the declared classes are found without decoding pictures", "[data][image_folder]") {
  const TemporaryFolder folder;
  for (const char* name : {"a/1.png", "b/2.png", "c/3.png"}) folder.write(name, "no picture at all");
  const Problem problem = problem_of<ResourceError>([&] {
    open_source("train: {format: image_folder, classes: 2, path: " + folder.path() + "}", {model_input("x", DType::Float32, {-1, 3, 4, 4})}, "train");
  });
  CHECK(problem.what == "the label is 2, the classes are 0 to 1");
  CHECK(problem.where == "data.train, " + folder.path("c/3.png") + ", record 2");
}

TEST_CASE("image folders give classes in sorted order and name pictures that do not fit",
          "[data][image_folder]") {
  const TemporaryFolder folder;
  folder.write("val/dog/b.png", from_hex(kPngColour));
  folder.write("val/cat/deep/a.PNG", from_hex(kPngPalette));
  folder.write("val/cat/notes.txt", "not a picture");
  const InputSignature model = {model_input("x", DType::Float32, {-1, 3, -1, -1})};
  const std::string yaml = "eval: {format: image_folder, split: val, path: " + folder.path() + "}";
  const Batch batch = read_all(open_source(yaml, model)).at(0);
  CHECK(batch.inputs[0].shape() == Shape{2, 3, 2, 4});
  CHECK(batch.labels->to_integers() == std::vector<int64_t>{0, 1});
  CHECK(batch.inputs[0].to_floats()[1] == 30.0f);  // red of the second pixel

  folder.write("val/dog/c.jpg", from_hex(kJpegColour));
  const Problem size = problem_of<ShapeError>([&] { read_all(open_source(yaml, model)); });
  CHECK(size.what == "the sample has shape [3, 8, 16], another of its batch [3, 2, 4]");
  CHECK(size.where == folder.path("val/dog/c.jpg") + ", record 2");
  CHECK(contains(size.fix, "resize"));
  const Problem fixed = problem_of<ShapeError>([&] {
    read_all(open_source(yaml, {model_input("x", DType::Float32, {-1, 3, 2, 4})}));
  });
  CHECK(contains(fixed.fix, "set resize: [2, 4]"));
  const DataSource grey = open_source(
      "eval: {format: image_folder, split: val, resize: [2, 2], path: " + folder.path() + "}",
      {model_input("x", DType::Float32, {-1, 1, 2, 2})});
  CHECK(read_all(grey).at(0).inputs[0].shape() == Shape{3, 1, 2, 2});

  folder.write("val/dog/c.jpg", from_hex(kJpegColour).substr(0, 200));
  CHECK(problem_of<ResourceError>([&] { read_all(open_source(yaml, model)); }).where ==
        folder.path("val/dog/c.jpg") + ", record 2");
  CHECK(contains(problem_of<ResourceError>([&] {
                   open_source("eval: {format: image_folder, path: /no/such}", model);
                 }).what,
                 "no such folder"));
}

TEST_CASE("an error of a reader thread arrives when its batch is due, and stays",
          "[data][loader][prefetch]") {
  for (const int workers : {1, 4}) {
    PrefetchStream stream(10, workers, [](int64_t index) {
      if (index == 3) throw ResourceError{{.what = "broken", .where = "here", .fix = "none"}};
      Batch batch;
      batch.first = index;
      return batch;
    });
    for (int64_t i = 0; i < 3; ++i) CHECK(stream.next()->first == i);
    CHECK_THROWS_AS(stream.next(), ResourceError);
    CHECK_THROWS_AS(stream.next(), ResourceError);
  }
}

TEST_CASE("a stream reads only a few batches ahead and stops when it is dropped",
          "[data][loader][prefetch]") {
  std::atomic<int> made = 0;
  {
    PrefetchStream stream(1000, 2, [&](int64_t) {
      ++made;
      return Batch{};
    });
    stream.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK(made <= 1 + 2 + 2);
  }
  const int at_end = made;
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(made == at_end);
}

TEST_CASE("next() measures how long it waited", "[data][loader][prefetch]") {
  PrefetchStream stream(1, 1, [](int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return Batch{};
  });
  CHECK(stream.next().has_value());
  CHECK_FALSE(stream.next().has_value());
  CHECK(stream.wait_seconds() > 0.01);
}

TEST_CASE("a stream outlives its source", "[data][loader]") {
  const Table records(300);
  std::unique_ptr<DataSource::Stream> stream;
  {
    const DataSource source = open_source("eval: " + records.keys(), kModel);
    stream = source.stream({.workers = 2});
  }
  int64_t count = 0;
  while (const auto batch = stream->next()) count += batch->count;
  CHECK(count == 300);
}

TEST_CASE("the keys that all formats share are known without a data set", "[data][loader]") {
  std::vector<std::string> keys;
  for (const OptionRecord& record : common_data_options()) keys.push_back(record.key);
  for (const char* key : {"limit", "samples", "shuffle", "batch_size", "classes", "scale", "mean",
                          "std", "layout", "channels", "resize", "center_crop", "augment"}) {
    CHECK(std::ranges::count(keys, key) == 1);
  }
}

// Checks against real data sets, which are not part of the repository.
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "fixtures.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

namespace fs = std::filesystem;

const InputSignature kCifarModel = {model_input("input", DType::Float32, {-1, 3, 32, 32})};

/// The folder with CIFAR-10's .bin files: $SPARSIFY_CIFAR10, or unpacked once into a temporary
/// folder.
fs::path cifar10_or_skip(const std::string& test) {
  if (const char* named = std::getenv("SPARSIFY_CIFAR10"); named != nullptr && fs::exists(named))
    return named;
  const fs::path tool = shared_or_skip("data/unpack-cifar10", test);
  if (tool.empty()) return {};
  const fs::path folder = fs::temp_directory_path() / "sparsify-cifar10";
  if (fs::exists(folder / "test_batch.bin") && fs::exists(folder / "data_batch_5.bin"))
    return folder;
  if (std::system((tool.string() + " " + folder.string() + " >/dev/null 2>&1").c_str()) == 0)
    return folder;
  std::cout << "SKIPPED: " << test << ": " << tool.string() << " needs Pillow and NumPy\n";
  return {};
}

}  // namespace

TEST_CASE("CIFAR-10 has its 50,000 and 10,000 images with the known first pixels",
          "[data][shared]") {
  const fs::path folder = cifar10_or_skip("CIFAR-10 pixels");
  if (folder.empty()) return;
  const std::string keys = "{format: cifar10, path: " + folder.string() + ", split: ";
  const DataSource test = open_source("eval: " + keys + "test}", kCifarModel);
  CHECK(test.size() == 10000);
  const Batch first = *test.stream({})->next();
  const std::vector<float> pixels = first.inputs[0].to_floats();
  CHECK(std::vector<float>(pixels.begin(), pixels.begin() + 4) ==
        std::vector<float>{155, 167, 176, 190});
  CHECK(pixels[1024] == 156.0f);
  CHECK(pixels[3071] == 50.0f);
  CHECK(first.labels->to_integers()[0] == 0);
  CHECK(first.labels->to_integers()[19] == 9);

  const DataSource train = open_source("train: " + keys + "train}", kCifarModel, "train");
  CHECK(train.size() == 50000);
  std::vector<int64_t> counts(10);
  for (const int64_t label : read_labels(train, {.workers = 4})) ++counts[label];
  CHECK(counts == std::vector<int64_t>(10, 5000));
}

TEST_CASE("throughput of augmented CIFAR-10", "[.benchmark]") {
  const fs::path folder = cifar10_or_skip("CIFAR-10 throughput");
  if (folder.empty()) return;
  const std::string keys =
      "{format: cifar10, path: " + folder.string() +
      ", split: train, scale: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]";
  for (const char* augment : {"}", ", augment: [{random_crop: 4}, flip]}"}) {
    const DataSource source = open_source("train: " + keys + augment, kCifarModel, "train");
    for (const int workers : {1, 2}) {
      const auto start = std::chrono::steady_clock::now();
      const auto stream = source.stream({.workers = workers});
      int64_t images = 0;
      while (const auto batch = stream->next()) images += batch->count;
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::cout << images << " images" << (augment[0] == '}' ? "" : ", augmented") << ", "
                << workers
                << " workers: " << static_cast<int64_t>(static_cast<double>(images) / seconds)
                << " images/s\n";
    }
  }
}

TEST_CASE("Fashion-MNIST is read from its gzipped files", "[data][shared]") {
  const fs::path folder = shared_or_skip("data/fashion-mnist", "Fashion-MNIST");
  if (folder.empty()) return;
  const DataSource source =
      open_source("eval: {format: idx, path: " + folder.string() + ", split: train}",
                  {model_input("x", DType::Float32, {-1, 784})});
  CHECK(source.size() == 60000);
  const Batch batch = *source.stream({})->next();
  CHECK(batch.inputs[0].shape() == Shape{128, 784});
  const std::vector<int64_t> labels = batch.labels->to_integers();
  CHECK(std::vector<int64_t>(labels.begin(), labels.begin() + 8) ==
        std::vector<int64_t>{3, 7, 5, 3, 3, 2, 5, 2});
  std::vector<float> first(784);
  batch.inputs[0].read_floats(0, first);
  float sum = 0;
  for (const float pixel : first) sum += pixel;
  CHECK(sum == 59364.0f);
}

TEST_CASE("the keyword spotter's int8 features get their real values", "[data][shared]") {
  const fs::path file =
      shared_or_skip("data/kws/kws01_test_mfcc_int8.npz", "keyword spotting features");
  if (file.empty()) return;
  const DataSource source = open_source("eval: {format: npz, path: " + file.string() +
                                            ", mean: 83, std: " + std::to_string(1 / 0.58470) + "}",
                                        {model_input("input", DType::Float32, {-1, 1, 49, 10})});
  CHECK(source.size() == 1000);
  const Batch batch = *source.stream({})->next();
  CHECK(batch.inputs[0].shape() == Shape{128, 1, 49, 10});
  // The first record begins 2, 85, 81.
  const std::vector<float> values = batch.inputs[0].to_floats();
  CHECK(values[0] == Approx((2 - 83) * 0.58470));
  CHECK(values[1] == Approx((85 - 83) * 0.58470));
  CHECK(batch.labels->to_integers()[0] == 7);
}

TEST_CASE("recorded inputs and outputs of a network are read", "[data][shared]") {
  const fs::path folder = shared_or_skip("models/recorded/ultraface-slim-320", "recorded runs");
  if (folder.empty()) return;
  const DataSource source = open_source("eval: {format: onnx, path: " + folder.string() + "}",
                                        {model_input("input", DType::Float32, {1, 3, 240, 320})});
  const Batch batch = *source.stream({})->next();
  CHECK(batch.inputs.at(0).shape() == Shape{1, 3, 240, 320});
  CHECK(batch.outputs.size() == 2);
  CHECK_FALSE(batch.labels.has_value());
}

#include <zlib.h>

#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

const InputSignature kCifarModel = {model_input("input", DType::Float32, {-1, 3, 32, 32})};
const InputSignature kTableModel = {model_input("x", DType::Float32, {-1, 2})};

std::string cifar_record(char label, char pixel) { return std::string(1, label).append(3072, pixel); }

std::string idx(const std::string& type_and_rank, const std::vector<int>& sizes,
                const std::string& data) {
  std::string bytes = std::string(2, '\0') + type_and_rank;
  for (const int size : sizes) bytes += std::string(3, '\0') + static_cast<char>(size);
  return bytes + data;
}

std::string gzipped(const TemporaryFolder& folder, const std::string& name,
                    const std::string& bytes) {
  gzFile file = gzopen(folder.path(name).c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return folder.path(name);
}

}  // namespace

TEST_CASE("cifar10 reads labels and planes from the files of a split", "[data][cifar10]") {
  const TemporaryFolder folder;
  folder.write("test_batch.bin", cifar_record(3, 10) + cifar_record(9, 20));
  const DataSource source =
      open_source("eval: {format: cifar10, path: " + folder.path() + ", split: test}", kCifarModel);
  CHECK(source.size() == 2);
  CHECK(source.has_labels());
  CHECK(source.describe() == "cifar10 " + folder.path() + ", test (2 samples)");
  const std::vector<Batch> batches = read_all(source);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].inputs[0].shape() == Shape{2, 3, 32, 32});
  CHECK(batches[0].inputs[0].to_floats()[3071] == 10.0f);
  CHECK(batches[0].inputs[0].to_floats()[3072] == 20.0f);
  CHECK(batches[0].labels->to_integers() == std::vector<int64_t>{3, 9});
}

TEST_CASE("cifar10 names the file and the record that is wrong", "[data][cifar10]") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& split) {
    return open_source("eval: {format: cifar10, path: " + folder.path() + split + "}", kCifarModel);
  };
  CHECK(problem_of<ConfigError>([&] { open(""); }).fix == "set split: train or split: test");
  const Problem missing = problem_of<ResourceError>([&] { open(", split: test"); });
  CHECK(missing.what == "test_batch.bin is not there");
  CHECK(missing.where == folder.path());

  folder.write("test_batch.bin", (cifar_record(1, 0) + cifar_record(2, 0)).substr(0, 5000));
  const Problem cut = problem_of<ResourceError>([&] { open(", split: test"); });
  CHECK(cut.what == "record 1 is cut off: 5000 bytes are not a multiple of 3073");
  CHECK(cut.where == folder.path("test_batch.bin"));

  folder.write("test_batch.bin", cifar_record(1, 0) + cifar_record(10, 0));
  const Problem label = problem_of<ResourceError>([&] { read_all(open(", split: test")); });
  CHECK(label.what == "the label is 10, CIFAR-10 has classes 0 to 9");
  CHECK(label.where == folder.path("test_batch.bin") + ", record 1");
}

TEST_CASE("idx files are read plain and gzipped, with images of one channel", "[data][idx]") {
  const TemporaryFolder folder;
  gzipped(folder, "t10k-images-idx3-ubyte.gz", idx("\x08\x03", {2, 1, 2}, "\x01\x02\x03\x04"));
  folder.write("t10k-labels-idx1-ubyte", idx("\x08\x01", {2}, "\x05\x06"));
  const DataSource source =
      open_source("eval: {format: idx, path: " + folder.path() + ", split: test}",
                  {model_input("x", DType::Float32, {-1, 1, 1, 2})});
  const Batch batch = read_all(source).at(0);
  CHECK(batch.inputs[0].shape() == Shape{2, 1, 1, 2});
  CHECK(batch.inputs[0].to_floats() == std::vector<float>{1, 2, 3, 4});
  CHECK(batch.labels->to_integers() == std::vector<int64_t>{5, 6});
}

TEST_CASE("idx takes named files of big-endian types", "[data][idx]") {
  const TemporaryFolder folder;
  folder.write("table", idx("\x0B\x02", {1, 2}, std::string("\x01\x00\xff\xfe", 4)));
  const DataSource source =
      open_source("eval: {format: idx, path: " + folder.path() + ", images: table}", kTableModel);
  CHECK_FALSE(source.has_labels());
  CHECK(read_all(source).at(0).inputs[0].to_floats() == std::vector<float>{256, -2});
}

TEST_CASE("damaged idx files are refused with what is wrong", "[data][idx]") {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& bytes) {
    folder.write("a", bytes);
    return problem_of<ResourceError>([&] {
      open_source("eval: {format: idx, path: " + folder.path() + ", images: a}", kTableModel);
    });
  };
  CHECK(problem(idx("\x08\x02", {3, 2}, "\x01\x02\x03")).what ==
        "uint8[3, 2] is declared, but there are 3 bytes: record 1 is cut off");
  CHECK(problem(idx("\x08\x02", {1, 2}, "\x01\x02\x03")).what ==
        "uint8[1, 2] is declared, but there are 3 bytes: more than its records");
  CHECK(problem("PK??").what == "the file does not begin as an idx file does");
  CHECK(problem(idx("\x08\x02", {1, 2}, "\x01\x02")).what == "nothing was thrown");

  const std::string path = gzipped(folder, "a", idx("\x08\x02", {1, 2}, "\x01\x02"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 9);
  const Problem cut = problem_of<ResourceError>([&] {
    open_source("eval: {format: idx, path: " + folder.path() + ", images: a}", kTableModel);
  });
  CHECK(contains(cut.what, "the file cannot be read: "));
  CHECK(cut.where == path);

  const Problem missing = problem_of<ResourceError>([&] {
    open_source("eval: {format: idx, path: " + folder.path() + ", split: train}", kTableModel);
  });
  CHECK(missing.what ==
        "none of train-images-idx3-ubyte, train-images-idx3-ubyte.gz, train-images.idx3-ubyte, "
        "train-images.idx3-ubyte.gz is there");
}

TEST_CASE("csv recognises a header and takes the last column as the label", "[data][csv]") {
  const TemporaryFolder folder;
  folder.write("a.csv", "width,height,kind\n1.5,2,0\r\n\n-3e1,+4,2\n");
  const DataSource source =
      open_source("eval: {format: csv, path: " + folder.path("a.csv") + "}", kTableModel);
  const Batch batch = read_all(source).at(0);
  CHECK(batch.inputs[0].to_floats() == std::vector<float>{1.5f, 2.0f, -30.0f, 4.0f});
  CHECK(batch.labels->type() == DType::Int64);
  CHECK(batch.labels->to_integers() == std::vector<int64_t>{0, 2});
}

TEST_CASE("csv takes the label by name or index, other delimiters and a split of a folder",
          "[data][csv]") {
  const TemporaryFolder folder;
  folder.write("test.csv", "\"y\";a;b\n0.5;1;2\n");
  const auto read = [&](const std::string& keys) {
    return read_all(open_source("eval: {format: csv, delimiter: ';', split: test, path: " +
                                    folder.path() + keys + "}",
                                kTableModel))
        .at(0);
  };
  for (const char* keys : {", label: y", ", label: 0", ", label: -3"}) {
    const Batch batch = read(keys);
    CHECK(batch.inputs[0].to_floats() == std::vector<float>{1, 2});
    CHECK(batch.labels->type() == DType::Float32);
    CHECK(batch.labels->to_floats() == std::vector<float>{0.5f});
  }
  folder.write("test.csv", "1;2\n");
  CHECK_FALSE(read(", label: none").labels.has_value());
}

TEST_CASE("csv columns are normalised one by one", "[data][csv]") {
  const TemporaryFolder folder;
  folder.write("a.csv", "1600000001,4,0\n");
  const DataSource source = open_source(
      "eval: {format: csv, path: " + folder.path("a.csv") + ", mean: [1600000000, 2], std: [1, 4]}",
      kTableModel);
  CHECK(read_all(source).at(0).inputs[0].to_floats() == std::vector<float>{1.0f, 0.5f});
}

TEST_CASE("csv names the line that is wrong", "[data][csv]") {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& text, const std::string& keys = "") {
    folder.write("a.csv", text);
    return problem_of<Error>([&] {
      open_source("eval: {format: csv, path: " + folder.path("a.csv") + keys + "}", kTableModel);
    });
  };
  const Problem nan = problem("a,b,y\n1,2,0\n1,nan,0\n");
  CHECK(nan.what == "column \"b\" is \"nan\", not a finite number");
  CHECK(nan.where == folder.path("a.csv") + ":3");
  CHECK(problem("1,2,0\n1,,0\n").what == "column 1 is \"\", not a finite number");
  CHECK(problem("1,2,0\n1,2\n").what == "2 columns, the lines above have 3");
  CHECK(problem("a,b,y\n").what == "the file has no records");
  CHECK(problem("1,2,0.5\n", ", target: class").what == "the label is 0.5, not a class index");
  CHECK(contains(problem("a,b,y\n1,2,0\n", ", label: z").what, "is named \"z\""));
  CHECK(contains(problem("1,2,0\n", ", label: 3").what, "label is 3, "));
  CHECK(contains(problem("1,2,3,0\n").what,
                 "the samples of \"columns\" are float64[3], the model's input \"x\" takes"));
}

TEST_CASE("random draws what the signature asks for, the same for the same seed",
          "[data][random]") {
  const InputSignature signature = {model_input("pixels", DType::Float32, {-1, 1000}),
                                    model_input("tokens", DType::Int64, {-1, 1000}),
                                    model_input("mask", DType::Bool, {-1, 4})};
  const auto read = [&](uint64_t seed) {
    return read_all(open_source("eval: {format: random, limit: 3, vocabulary: 5}", signature,
                                "eval", seed))
        .at(0);
  };
  const Batch batch = read(1);
  CHECK(batch.count == 3);
  CHECK_FALSE(batch.labels.has_value());
  double mean = 0;
  double square = 0;
  for (const float value : batch.inputs[0].to_floats()) {
    mean += value / 3000.0;
    square += value * value / 3000.0;
  }
  CHECK(std::abs(mean) < 0.08);  // four standard deviations
  CHECK(std::abs(square - 1.0) < 0.11);
  const std::vector<int64_t> tokens = batch.inputs[1].to_integers();
  CHECK(std::ranges::min(tokens) == 0);
  CHECK(std::ranges::max(tokens) == 4);
  CHECK(batch.inputs[2].shape() == Shape{3, 4});
  CHECK(std::ranges::equal(batch.inputs[0].bytes(), read(1).inputs[0].bytes()));
  CHECK_FALSE(std::ranges::equal(batch.inputs[0].bytes(), read(2).inputs[0].bytes()));
}

TEST_CASE("random gives a whole batch at once where inputs have no common batch axis",
          "[data][random]") {
  ValueInfo sequence = model_input("sequence", DType::Float32, {-1, 3});
  sequence.shape->at(0).symbol = "time";
  const InputSignature signature = {sequence, model_input("state", DType::Float32, {1, 3})};
  const DataSource source =
      open_source("eval: {format: random, limit: 2, dimensions: {time: 7}}", signature);
  const std::vector<Batch> batches = read_all(source);
  REQUIRE(batches.size() == 2);
  CHECK(batches[0].inputs[0].shape() == Shape{7, 3});
  CHECK(batches[0].inputs[1].shape() == Shape{1, 3});
  CHECK(contains(problem_of<ConfigError>([&] {
                   open_source("eval: {format: random, dimensions: {tima: 7}}", signature);
                 }).fix,
                 "time"));
}

TEST_CASE("recorded runs come as whole batches with their outputs", "[data][onnx]") {
  const TemporaryFolder folder;
  const auto tensor = [](char first, char second) {  // TensorProto int64 [2]
    return std::string("\x08\x02\x10\x07\x3a\x02") + first + second;
  };
  for (const char* set : {"test_data_set_0", "test_data_set_2", "test_data_set_10"}) {
    folder.write(std::string(set) + "/input_0.pb", tensor(1, 2));
    folder.write(std::string(set) + "/output_0.pb", tensor(set[14], 4));
  }
  const InputSignature signature = {model_input("x", DType::Int64, {-1})};
  const DataSource source =
      open_source("eval: {format: onnx, path: " + folder.path() + "}", signature);
  const std::vector<Batch> batches = read_all(source);
  REQUIRE(batches.size() == 3);
  CHECK(batches[0].count == 2);
  CHECK(batches[0].inputs[0].to_integers() == std::vector<int64_t>{1, 2});
  CHECK(batches[1].outputs.at(0).to_integers() == std::vector<int64_t>{'2', 4});
  CHECK(batches[2].outputs.at(0).to_integers() == std::vector<int64_t>{'1', 4});
  CHECK(open_source("eval: {format: onnx, path: " + folder.path("test_data_set_2") + "}", signature)
            .size() == 1);

  const Problem shape = problem_of<ShapeError>([&] {
    open_source("eval: {format: onnx, path: " + folder.path() + "}",
                {model_input("x", DType::Int64, {3})});
  });
  CHECK(contains(shape.what,
                 "the recorded input is int64[2], the model's input \"x\" takes int64[3]"));
  CHECK(shape.where == folder.path("test_data_set_0"));
  CHECK(contains(problem_of<ResourceError>([&] {
                   open_source("eval: {format: onnx, path: " + folder.path("absent") + "}",
                               signature);
                 }).what,
                 "looked for test_data_set_* folders"));
}

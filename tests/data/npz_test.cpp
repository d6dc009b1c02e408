#include <zip.h>

#include "data/npy.h"
#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                bool fortran = false) {
  std::string header = "{'descr': '" + descr +
                       "', 'fortran_order': " + (fortran ? "True" : "False") +
                       ", 'shape': " + shape + ", }";
  header.resize(118, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + data;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

void write_npz(const std::string& path, const std::map<std::string, std::string>& arrays,
               bool compress = true) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const auto& [name, bytes] : arrays) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const auto index = zip_file_add(archive, (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index),
                             compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  zip_close(archive);
}

const InputSignature kModel = {model_input("input", DType::Float32, {-1, 2})};

}  // namespace

TEST_CASE("npy arrays of every type are read", "[data][npz]") {
  const auto read = [](const std::string& text) {
    return read_npy(std::as_bytes(std::span(text.data(), text.size())), "a.npz, array \"x\"");
  };
  CHECK(read(npy("<f4", "(2,)", bytes_of<float>({1.5f, -2.0f}))).to_floats() ==
        std::vector<float>{1.5f, -2.0f});
  CHECK(read(npy("<f8", "(1, 1)", bytes_of<double>({0.5}))).shape() == Shape{1, 1});
  CHECK(read(npy("<f2", "(1,)", bytes_of<uint16_t>({0x3C00}))).to_floats() ==
        std::vector<float>{1.0f});
  CHECK(read(npy("|i1", "(1,)", "\xff")).to_integers() == std::vector<int64_t>{-1});
  CHECK(read(npy("|u1", "(1,)", "\xff")).to_integers() == std::vector<int64_t>{255});
  CHECK(read(npy("|b1", "(2,)", std::string("\0\1", 2))).type() == DType::Bool);
  CHECK(read(npy("<i2", "(1,)", bytes_of<int16_t>({-300}))).to_integers() ==
        std::vector<int64_t>{-300});
  CHECK(read(npy("<i8", "()", bytes_of<int64_t>({7}))).shape().empty());
  CHECK(read(npy(">i4", "(1,)", std::string("\0\0\1\2", 4))).to_integers() ==
        std::vector<int64_t>{258});
}

TEST_CASE("npy arrays that cannot be read say why", "[data][npz]") {
  const auto what = [](const std::string& text) {
    const Problem problem = problem_of<ResourceError>([&] {
      read_npy(std::as_bytes(std::span(text.data(), text.size())), "a.npz, array \"x\"");
    });
    CHECK(problem.where == "a.npz, array \"x\"");
    return problem.what;
  };
  CHECK(what(npy("<f4", "(2, 1)", bytes_of<float>({1, 2}), true)) ==
        "the array is stored in Fortran order");
  CHECK(what(npy("|O", "(1,)", "x")) == "the array's type is '|O'");
  CHECK(what(npy("<f4", "(2,)", "abcd")) ==
        "float32[2] needs 2 elements of 4 bytes, 4 bytes are there");
  CHECK(what("not numpy at all") == "the entry is not a numpy array");
}

TEST_CASE("npz feeds the input by its name or x, with labels y, deflated or stored",
          "[data][npz]") {
  const TemporaryFolder folder;
  for (const bool compress : {true, false}) {
    for (const char* name : {"x", "input"}) {
      write_npz(folder.path("a.npz"),
                {{name, npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, 4}))},
                 {"y", npy("|u1", "(2, 1)", "\x05\x06")}},
                compress);
      const Batch batch =
          read_all(open_source("eval: {format: npz, path: " + folder.path("a.npz") + "}", kModel))
              .at(0);
      CHECK(batch.inputs[0].to_floats() == std::vector<float>{1, 2, 3, 4});
      CHECK(batch.labels->shape() == Shape{2});
      CHECK(batch.labels->to_integers() == std::vector<int64_t>{5, 6});
    }
  }
}

TEST_CASE("npz takes x_SPLIT of a file and SPLIT.npz of a folder", "[data][npz]") {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> arrays = {
      {"x_test", npy("|u1", "(1, 2)", "\x01\x02")},
      {"y_test", npy("<f4", "(1,)", bytes_of<float>({0.5f}))}};
  write_npz(folder.path("test.npz"), arrays);
  const Batch batch =
      read_all(
          open_source("eval: {format: npz, split: test, path: " + folder.path("test.npz") + "}",
                      kModel))
          .at(0);
  CHECK(batch.inputs[0].to_floats() == std::vector<float>{1, 2});
  CHECK(batch.labels->to_floats() == std::vector<float>{0.5f});

  write_npz(folder.path("test.npz"), {{"x", npy("|u1", "(1, 2)", "\x03\x04")}});
  const DataSource in_folder =
      open_source("eval: {format: npz, split: test, path: " + folder.path() + "}", kModel);
  CHECK_FALSE(in_folder.has_labels());
  CHECK(read_all(in_folder).at(0).inputs[0].to_floats() == std::vector<float>{3, 4});
}

TEST_CASE("npz feeds several inputs, and scale applies to the float ones", "[data][npz]") {
  const TemporaryFolder folder;
  write_npz(folder.path("a.npz"),
            {{"ids", npy("<i4", "(2, 3)", bytes_of<int32_t>({1, 2, 3, 4, 5, 6}))},
             {"mask", npy("|b1", "(2,)", std::string("\1\0", 2))},
             {"weight", npy("|u1", "(2, 1)", "\x0a\x14")}});
  const InputSignature signature = {model_input("ids", DType::Int64, {-1, -1}),
                                    model_input("mask", DType::Bool, {-1}),
                                    model_input("weight", DType::Float32, {-1, 1})};
  const Batch batch =
      read_all(open_source("eval: {format: npz, scale: 10, path: " + folder.path("a.npz") + "}",
                           signature))
          .at(0);
  CHECK(batch.inputs[0].type() == DType::Int64);
  CHECK(batch.inputs[0].to_integers() == std::vector<int64_t>{1, 2, 3, 4, 5, 6});
  CHECK(batch.inputs[1].to_integers() == std::vector<int64_t>{1, 0});
  CHECK(batch.inputs[2].to_floats() == std::vector<float>{1, 2});

  const Problem missing = problem_of<ResourceError>([&] {
    open_source("eval: {format: npz, path: " + folder.path("a.npz") + "}",
                {model_input("input", DType::Float32, {-1, 2})});
  });
  CHECK(missing.what ==
        "there is no array input or x for the model's input \"input\", only ids, mask, weight");
  const Problem integers = problem_of<ConfigError>([&] {
    open_source("eval: {format: npz, scale: 10, path: " + folder.path("a.npz") + "}",
                {signature[0]});
  });
  CHECK(integers.what == "scale is given, but the model's input \"ids\" takes int64");
}

TEST_CASE("npz arrays of pictures are turned to the model's layout", "[data][npz]") {
  const TemporaryFolder folder;
  write_npz(folder.path("a.npz"), {{"x", npy("|u1", "(1, 1, 2, 3)", "\x01\x02\x03\x04\x05\x06")}});
  const std::string yaml = "eval: {format: npz, path: " + folder.path("a.npz") + "}";
  const Batch batch =
      read_all(open_source(yaml, {model_input("x", DType::Float32, {-1, 3, 1, 2})})).at(0);
  CHECK(batch.inputs[0].shape() == Shape{1, 3, 1, 2});
  CHECK(batch.inputs[0].to_floats() == std::vector<float>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("a record with NaN, unequal counts and a damaged archive are named", "[data][npz]") {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.npz");
  const auto open = [&] { return open_source("eval: {format: npz, path: " + path + "}", kModel); };
  write_npz(path, {{"x", npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, std::nanf("")}))}});
  const Problem nan = problem_of<ResourceError>([&] { read_all(open()); });
  CHECK(nan.what == "element 1 is NaN");
  CHECK(nan.where == path + ", record 1");

  write_npz(path, {{"x", npy("|u1", "(1, 2)", "ab")}, {"y", npy("|u1", "(2,)", "ab")}});
  CHECK(problem_of<ShapeError>(open).what == "labels \"y\" have shape [2], there are 1 samples");

  write_npz(path, {{"x", npy("|u1", "(1, 2)", "ab")}}, false);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(30 + 5 + 128);  // local header, name, npy header: the first value
  file.put('z');
  file.close();
  CHECK(contains(problem_of<ResourceError>(open).what, "damaged"));

  folder.write("a.npz", "PK");
  CHECK(problem_of<ResourceError>(open).what == "the file is not a zip archive, or it is cut off");
  CHECK(problem_of<ResourceError>([&] {
          open_source("eval: {format: npz, path: /no/such.npz}", kModel);
        }).what == "there is no such file");
}

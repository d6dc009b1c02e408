#include "support/catch.h"

#include <sys/stat.h>

#include "base/error.h"
#include "onnx/files.h"
#include "onnx/model_file.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

struct BadFile {
  std::string bytes;
  const char* what;
  const char* where;  ///< beside the path
  const char* fix;
};

std::string node(const char* type, std::initializer_list<const char*> inputs,
                 std::initializer_list<const char*> outputs, const char* name = "") {
  std::string out;
  for (const char* input : inputs) out += bytes_field(1, input);
  for (const char* output : outputs) out += bytes_field(2, output);
  return bytes_field(1, out + bytes_field(3, name) + bytes_field(4, type));
}

std::string good_tensor() {
  return tensor_head({2}, 1) + bytes_field(9, packed<float>({1.0f, 2.0f}));
}

/// The good model with more fields in its graph.
std::string with_graph_fields(std::string_view fields) {
  return model_with(good_tensor(), bytes_field(7, fields));
}

std::string deeply_nested(int levels) {
  std::string graph = bytes_field(2, "leaf");
  for (int i = 0; i < levels; ++i) {
    graph = bytes_field(1, bytes_field(4, "If") +
                               bytes_field(5, bytes_field(1, "then_branch") + bytes_field(6, graph)));
  }
  return number_field(1, 8) + bytes_field(7, graph);
}

std::vector<BadFile> bad_files() {
  const std::string good = model_with(good_tensor());
  const std::string many(200, 'x');
  return {
      {"", "the file is empty", "", "copy or download"},
      {good.substr(0, 50), "the file is truncated", ": byte 50", "copy or download"},
      {good.substr(0, good.size() - 1), "the file is truncated", ": byte", "copy or download"},
      {"ir_version: 8\ngraph { name: \"main\" }\n", "a text file", "", "torch.onnx.export"},
      {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull", "", ""},
      {"PK\x03\x04" + many, "a zip archive", "", "torch.onnx.export"},
      {"\xde\xad\xbe\xef" + many, "not an ONNX model", "", "torch.onnx.export"},
      {number_field(1, 8), "it has no graph", "", ""},
      {good.substr(2), "it has no IR version", "", ""},
      {deeply_nested(60), "nests messages deeper than 100 levels", "", "fewer nested"},
      {number_field(1, 2) + good.substr(2), "IR version 2", "ir_version", "convert"},
      {good.substr(0, good.size() - 4), "imports no operator set", "opset_import", ""},
      {model_with(good_tensor(), "", 2, 1, 0), "opset 0", "opset_import", "convert"},
      {model_with(tensor_head({3}, 1) + bytes_field(9, packed<float>({1.0f, 2.0f}))),
       "takes 12 bytes, raw_data has 8", "tensor \"w\"", "export the model again"},
      {model_with(tensor_head({3}, 1) + bytes_field(4, packed<float>({1.0f, 2.0f}))),
       "takes 3 values, float_data has 2", "tensor \"w\"", ""},
      {model_with(tensor_head({2}, 10) + bytes_field(4, packed<float>({1.0f, 2.0f}))),
       "float16 values are in float_data, they belong in int32_data", "tensor \"w\"", ""},
      {model_with(tensor_head({2}, 1) + bytes_field(4, packed<float>({1.0f, 2.0f})) +
                  bytes_field(9, packed<float>({1.0f, 2.0f}))),
       "in raw_data and in float_data", "tensor \"w\"", ""},
      {model_with(tensor_head({2}, 1)), "takes 2 values, float_data has 0", "tensor \"w\"", ""},
      {model_with(tensor_head({2}, 1) + bytes_field(4, "1234567")), "malformed at byte", "", ""},
      {model_with(tensor_head({1}, 10) + bytes_field(5, "\xff")), "malformed", "", ""},
      {model_with(tensor_head({-2}, 1) + bytes_field(9, "")), "negative size", "tensor \"w\"", ""},
      {model_with(tensor_head({int64_t{1} << 40, int64_t{1} << 40}, 1) + bytes_field(9, "1234")),
       "more elements than can be counted", "tensor \"w\"", ""},
      {model_with(tensor_head({int64_t{1} << 60}, 1) + bytes_field(9, "1234")), "raw_data has 4",
       "tensor \"w\"", ""},
      {model_with(tensor_head({2}, 99) + bytes_field(9, "1234")), "element type is 99", "tensor \"w\"", ""},
      {model_with(tensor_head({1}, 8) + bytes_field(9, "1234")), "strings are in raw_data", "tensor \"w\"", ""},
      {model_with(good_tensor() + bytes_field(3, number_field(1, 0))), "in segments", "tensor \"w\"", ""},
      {with_graph_fields(bytes_field(5, good_tensor())), "\"w\" stands for two", "graph", "export"},
      {with_graph_fields(node("Relu", {"x"}, {"y"}, "again")), "two producers give \"y\"", "graph", ""},
      {with_graph_fields(node("Relu", {"x"}, {"x"}, "again")), "two producers give \"x\"", "graph", ""},
      {with_graph_fields(node("Add", {"x", "b"}, {"a"}, "first") + node("Relu", {"a"}, {"b"}, "second")),
       "a cycle through", "graph", ""},
      {with_graph_fields(node("Relu", {"ghost"}, {"z"}, "reader")),
       "node \"reader\" (Relu) reads \"ghost\", which nothing produces", "graph", ""},
      {with_graph_fields(bytes_field(12, bytes_field(1, "ghost"))),
       "nothing produces the output \"ghost\"", "graph", ""},
  };
}

}  // namespace

TEST_CASE("every bad file ends in one message with what, where and fix", "[onnx][errors]") {
  for (const BadFile& bad : bad_files()) {
    INFO(bad.what);
    const TemporaryFolder folder;
    write_bytes(folder / "bad.onnx", bad.bytes);
    try {
      ModelFile::load(folder / "bad.onnx");
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.exit_code() == kUnusable);
      CHECK_THAT(error.problem().what, Contains(bad.what));
      CHECK_THAT(error.problem().where, Contains(folder / "bad.onnx") && Contains(bad.where));
      CHECK_THAT(error.problem().fix, Contains(bad.fix));
      CHECK_FALSE(error.problem().fix.empty());
    }
  }
}

TEST_CASE("a path that is no file is refused at once", "[onnx][errors]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(ModelFile::load(folder / "absent.onnx"), Contains("No such file"));
  CHECK_THROWS_WITH(ModelFile::load(folder.path().string()), Contains("a folder, not a file"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(ModelFile::load(folder / "pipe"), Contains("not a regular file"));
}

TEST_CASE("no truncation of a model loads or crashes", "[onnx][errors]") {
  const std::string good = model_with(good_tensor());
  const TemporaryFolder folder;
  int loaded = 0;
  for (size_t size = 0; size < good.size(); ++size) {
    write_bytes(folder / "cut.onnx", std::string_view(good).substr(0, size));
    try {
      ModelFile::load(folder / "cut.onnx");
      ++loaded;
    } catch (const ResourceError&) {
    }
  }
  CHECK(loaded == 0);
}

TEST_CASE("a model with one byte changed loads or is refused, and never crashes", "[onnx][errors]") {
  const std::string good = model_with(good_tensor(), bytes_field(2, "producer"));
  const TemporaryFolder folder;
  int refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int change : {1, 0x7f, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      write_bytes(folder / "m.onnx", bytes);
      try {
        const ModelFile file = ModelFile::load(folder / "m.onnx");
        for (int id = 0; id < file.tensor_count(); ++id) file.tensor_data(id);
        CHECK(read_bytes(file.write(folder / "out.onnx")->reopen().path()) == bytes);
      } catch (const ResourceError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("newer versions and doubled metadata are told, not refused", "[onnx][load]") {
  const std::string doubled = bytes_field(14, bytes_field(1, "k") + bytes_field(2, "1"));
  const TemporaryFolder folder;
  const std::string good = model_with(good_tensor(), doubled + doubled, 2, 1, 99);
  write_bytes(folder / "m.onnx", number_field(1, 77) + good.substr(2));
  const auto warnings = ModelFile::load(folder / "m.onnx").warnings();
  REQUIRE(warnings.size() == 3);
  CHECK_THAT(warnings[0], Contains("IR version 77"));
  CHECK_THAT(warnings[1], Contains("opset 99"));
  CHECK_THAT(warnings[2], Contains("\"k\" twice"));
}

TEST_CASE("weights that are not finite load; the pruning stage tells them", "[onnx][load]") {
  const TemporaryFolder folder;
  write_bytes(folder / "m.onnx",
              model_with(tensor_head({2}, 1) + bytes_field(9, packed<uint32_t>({0x7fc00000, 0x7f800000}))));
  CHECK(ModelFile::load(folder / "m.onnx").tensor_count() == 1);
}

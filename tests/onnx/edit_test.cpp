#include "support/catch.h"

#include <onnx/onnx_pb.h>

#include "onnx/checker.h"
#include "onnx/files.h"
#include "onnx/model_file.h"

using namespace sparsify;

namespace {

constexpr int kFloat32 = 1;
constexpr int kFloat16 = 10;
constexpr int kFloat64 = 11;
constexpr int kBFloat16 = 16;

struct StorageCase {
  const char* what;
  int type;
  std::string data;      ///< fields of the tensor with the values 1.5, -2, 0.25, -0
  std::string expected;  ///< the same fields with the values 0, -2, 0, 0
  Storage storage;
};

std::string fixed32s(uint32_t field, std::initializer_list<float> values) {
  std::string out;
  for (const float value : values) {
    wire::append_tag(out, field, wire::Fixed32);
    out += packed<float>({value});
  }
  return out;
}

std::vector<StorageCase> storage_cases() {
  return {
      {"float32 in raw_data", kFloat32, bytes_field(9, packed<float>({1.5f, -2.0f, 0.25f, -0.0f})),
       bytes_field(9, packed<float>({0.0f, -2.0f, 0.0f, 0.0f})), Storage::Raw},
      {"float16 in raw_data", kFloat16, bytes_field(9, packed<uint16_t>({0x3e00, 0xc000, 0x3400, 0x8000})),
       bytes_field(9, packed<uint16_t>({0, 0xc000, 0, 0})), Storage::Raw},
      {"bfloat16 in raw_data", kBFloat16, bytes_field(9, packed<uint16_t>({0x3fc0, 0xc000, 0x3e80, 0x8000})),
       bytes_field(9, packed<uint16_t>({0, 0xc000, 0, 0})), Storage::Raw},
      {"float64 in raw_data", kFloat64, bytes_field(9, packed<double>({1.5, -2.0, 0.25, -0.0})),
       bytes_field(9, packed<double>({0.0, -2.0, 0.0, 0.0})), Storage::Raw},
      {"packed float_data", kFloat32, bytes_field(4, packed<float>({1.5f, -2.0f, 0.25f, -0.0f})),
       bytes_field(4, packed<float>({0.0f, -2.0f, 0.0f, 0.0f})), Storage::Typed},
      {"float_data, one field a value", kFloat32, fixed32s(4, {1.5f, -2.0f, 0.25f, -0.0f}),
       fixed32s(4, {0.0f, -2.0f, 0.0f, 0.0f}), Storage::Typed},
      {"float_data, half packed, with a stranger between", kFloat32,
       fixed32s(4, {1.5f, -2.0f}) + number_field(99, 1) + bytes_field(4, packed<float>({0.25f, -0.0f})),
       fixed32s(4, {0.0f, -2.0f}) + number_field(99, 1) + bytes_field(4, packed<float>({0.0f, 0.0f})),
       Storage::Typed},
      {"packed double_data", kFloat64, bytes_field(10, packed<double>({1.5, -2.0, 0.25, -0.0})),
       bytes_field(10, packed<double>({0.0, -2.0, 0.0, 0.0})), Storage::Typed},
      {"float16 in packed int32_data", kFloat16, bytes_field(5, varints({0x3e00, 0xc000, 0x3400, 0x8000})),
       bytes_field(5, varints({0, 0xc000, 0, 0})), Storage::Typed},
      {"bfloat16 in int32_data, one field a value", kBFloat16,
       number_field(5, 0x3fc0) + number_field(5, 0xc000) + number_field(5, 0x3e80) + number_field(5, 0x8000),
       number_field(5, 0) + number_field(5, 0xc000) + number_field(5, 0) + number_field(5, 0), Storage::Typed},
      {"int32_data whose kept value has a long encoding", kFloat16,
       bytes_field(5, varints({0x3e00}) + long_varint(0xc000, 5) + varints({0x3400, 0x8000})),
       bytes_field(5, varints({0}) + long_varint(0xc000, 5) + varints({0, 0})), Storage::Typed},
  };
}

BitMask keep_second() {
  BitMask mask(4);
  for (const int index : {0, 2, 3}) mask.prune(index);
  return mask;
}

}  // namespace

TEST_CASE("a mask clears exactly the pruned elements, in every kind of storage", "[onnx][edit]") {
  for (const StorageCase& each : storage_cases()) {
    INFO(each.what);
    const TemporaryFolder folder;
    const std::string before = model_with(tensor_head({4}, each.type) + each.data, "", 4, each.type);
    const std::string after = model_with(tensor_head({4}, each.type) + each.expected, "", 4, each.type);
    write_bytes(folder / "in.onnx", before);
    ModelFile file = ModelFile::load(folder / "in.onnx");
    const int id = file.model().graph.initializers.at(0).id;
    CHECK(file.storage(id) == each.storage);
    CHECK(file.tensor_data(id).to_floats() == std::vector<float>{1.5f, -2.0f, 0.25f, -0.0f});
    CHECK(full_check(file) == "");

    file.mask_tensor_(id, keep_second());
    CHECK(file.has_edits());
    CHECK(file.tensor_data(id).to_floats()[0] == 1.5f);  // edits show only in what is written
    const auto writer = file.write(folder / "out.onnx");
    const ModelFile pruned = writer->reopen();
    CHECK(pruned.storage(id) == each.storage);
    CHECK(pruned.tensor_data(id).to_floats() == std::vector<float>{0.0f, -2.0f, 0.0f, 0.0f});
    CHECK(full_check(pruned) == "");
    CHECK(writer->commit().sha256 == pruned.sha256());
    CHECK(read_bytes(folder / "out.onnx") == after);
  }
}

TEST_CASE("a replacement is stored as the original was", "[onnx][edit]") {
  for (const StorageCase& each : storage_cases()) {
    INFO(each.what);
    const TemporaryFolder folder;
    write_bytes(folder / "in.onnx",
                model_with(tensor_head({4}, each.type) + each.data, "", 4, each.type));
    ModelFile file = ModelFile::load(folder / "in.onnx");
    HostTensor fresh = file.tensor_data(0).copy();
    auto bytes = fresh.mutable_bytes();
    std::rotate(bytes.begin(), bytes.begin() + static_cast<long>(bytes.size() / 4), bytes.end());
    file.mask_tensor_(0, keep_second());
    file.replace_tensor_(0, fresh);  // the last edit wins
    file.write(folder / "out.onnx")->commit();
    const ModelFile back = ModelFile::load(folder / "out.onnx");
    CHECK(back.storage(0) == each.storage);
    CHECK(back.tensor_data(0).to_floats() == std::vector<float>{-2.0f, 0.25f, -0.0f, 1.5f});
    ONNX_NAMESPACE::ModelProto model;
    CHECK(model.ParseFromString(read_bytes(folder / "out.onnx")));
  }
}

TEST_CASE("only the prefixes of lengths that change are written anew", "[onnx][edit]") {
  // 128 half floats of two or three bytes each: the packed field, the tensor and the graph all lose bytes.
  std::string values;
  for (int i = 0; i < 128; ++i) values += long_varint(0x3c00, 3);
  const std::string tensor = tensor_head({128}, kFloat16) + long_bytes_field(5, values);
  const std::string untouched = long_bytes_field(5, tensor_head({1}, kFloat32, "spare") +
                                                        long_bytes_field(9, packed<float>({1.0f})));
  std::string model = model_with(tensor, "", 128, kFloat16);
  ONNX_NAMESPACE::ModelProto parsed;
  REQUIRE(parsed.ParseFromString(model));
  model = long_bytes_field(7, untouched) + model;
  const TemporaryFolder folder;
  write_bytes(folder / "in.onnx", model);
  ModelFile file = ModelFile::load(folder / "in.onnx");
  const int id = file.model().graph.initializers.at(1).id;
  REQUIRE(file.tensor(id).name == "w");
  BitMask mask(128, false);
  mask.keep(127);
  file.mask_tensor_(id, mask);
  file.write(folder / "out.onnx")->commit();

  std::string pruned = std::string(127, '\0') + long_varint(0x3c00, 3);
  std::string field = long_varint(5 << 3 | 2, 3);
  wire::append_varint(field, pruned.size());
  const std::string expected = long_bytes_field(7, untouched) +
                               model_with(tensor_head({128}, kFloat16) + field + pruned, "", 128, kFloat16);
  CHECK(read_bytes(folder / "out.onnx") == expected);
}

TEST_CASE("int8 weights are masked to zero bytes", "[onnx][edit]") {
  for (const bool raw : {true, false}) {
    const TemporaryFolder folder;
    const std::string data = raw ? bytes_field(9, "\x05\xfb\x07\xf9")
                                 : bytes_field(5, varints({5, static_cast<uint64_t>(-5), 7, static_cast<uint64_t>(-7)}));
    write_bytes(folder / "in.onnx", model_with(tensor_head({4}, 3) + data, "", 4, 3));
    ModelFile file = ModelFile::load(folder / "in.onnx");
    file.mask_tensor_(0, keep_second());
    file.write(folder / "out.onnx")->commit();
    CHECK(ModelFile::load(folder / "out.onnx").tensor_data(0).to_integers() ==
          std::vector<int64_t>{0, -5, 0, 0});
  }
}

TEST_CASE("a weight inside a subgraph or a Constant node can be edited", "[onnx][edit]") {
  const std::string tensor = tensor_head({2}, kFloat32, "") + bytes_field(9, packed<float>({1.0f, 2.0f}));
  const std::string value = bytes_field(1, "value") + bytes_field(5, tensor) + number_field(20, 4);
  const std::string constant = bytes_field(2, "c") + bytes_field(4, "Constant") + bytes_field(5, value);
  const std::string branch = bytes_field(1, constant) + bytes_field(2, "branch") +
                             bytes_field(12, bytes_field(1, "c"));
  const auto branch_attribute = [&](const char* name) {
    return bytes_field(5, bytes_field(1, name) + bytes_field(6, branch) + number_field(20, 5));
  };
  const std::string choice = bytes_field(1, "flag") + bytes_field(2, "z") + bytes_field(4, "If") +
                             branch_attribute("then_branch") + branch_attribute("else_branch");
  const std::string flag = tensor_head({}, 9, "flag") + number_field(5, 1);
  const std::string graph = bytes_field(1, choice) + bytes_field(5, flag);
  const std::string model =
      model_with(tensor_head({2}, kFloat32) + bytes_field(9, packed<float>({1.0f, 1.0f}))) +
      bytes_field(7, graph);
  const TemporaryFolder folder;
  write_bytes(folder / "in.onnx", model);
  ModelFile file = ModelFile::load(folder / "in.onnx");
  const Node& node = file.model().graph.nodes.at(1);
  const auto& otherwise = std::get<std::shared_ptr<const Graph>>(node.find("else_branch")->value);
  const auto& stored = std::get<StoredTensor>(otherwise->nodes.at(0).find("value")->value);
  CHECK(stored.name == "c");
  BitMask mask(2);
  mask.prune(1);
  file.mask_tensor_(stored.id, mask);
  file.write(folder / "out.onnx")->commit();
  const ModelFile back = ModelFile::load(folder / "out.onnx");
  CHECK(back.tensor_data(stored.id).to_floats() == std::vector<float>{1.0f, 0.0f});
  CHECK(read_bytes(folder / "out.onnx").size() == model.size());
}

TEST_CASE("an output without commit leaves nothing, and an old one needs permission", "[onnx][write]") {
  const TemporaryFolder folder;
  const std::string bytes = model_with(tensor_head({2}, kFloat32) + bytes_field(9, packed<float>({1.0f, 2.0f})));
  write_bytes(folder / "m.onnx", bytes);
  ModelFile file = ModelFile::load(folder / "m.onnx");
  file.write(folder / "out.onnx").reset();
  CHECK(folder.files() == 1);
  CHECK_THROWS_WITH(file.write(folder / "m.onnx"), Catch::Matchers::Contains("--overwrite"));

  BitMask none(2, false);
  file.mask_tensor_(0, none);
  file.write(folder / "m.onnx", {.overwrite = true})->commit();  // in place
  CHECK(file.tensor_data(0).to_floats() == std::vector<float>{1.0f, 2.0f});
  CHECK(ModelFile::load(folder / "m.onnx").tensor_data(0).to_floats() == std::vector<float>{0.0f, 0.0f});
  file.write(folder / "m.onnx", {.overwrite = true})->commit();
  CHECK(folder.files() == 1);
}

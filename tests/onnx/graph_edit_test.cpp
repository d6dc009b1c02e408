#include "support/catch.h"

#include <onnx/onnx_pb.h>

#include "onnx/checker.h"
#include "onnx/files.h"
#include "onnx/model_file.h"

using namespace sparsify;

namespace {

constexpr int kFloat32 = 1;

/// [2, 3] with the values 0 ... 5, as a tensor's fields.
struct StorageCase {
  const char* what;
  std::string data;
  std::string expected;  ///< columns 0 and 2 only: 0 2 3 5
};

std::string fixed32s(uint32_t field, std::initializer_list<float> values) {
  std::string out;
  for (const float value : values) {
    wire::append_tag(out, field, wire::Fixed32);
    out += packed<float>({value});
  }
  return out;
}

std::string info(const std::string& name, std::initializer_list<int64_t> sizes) {
  std::string dims;
  for (const int64_t size : sizes) dims += bytes_field(1, size < 0 ? bytes_field(2, "batch") : number_field(1, static_cast<uint64_t>(size)));
  return bytes_field(1, name) + bytes_field(2, bytes_field(1, number_field(1, kFloat32) + bytes_field(2, dims)));
}

std::string tensor(const std::string& name, std::initializer_list<int64_t> dims, std::initializer_list<float> values) {
  return tensor_head(dims, kFloat32, name) + bytes_field(9, packed<float>(values));
}

std::string attribute(const std::string& name, const std::string& value, int type) {
  return bytes_field(5, bytes_field(1, name) + value + number_field(20, static_cast<uint64_t>(type)));
}

std::string model_of(const std::string& graph) {
  return number_field(1, 8) + bytes_field(7, graph) + bytes_field(8, number_field(2, 17));
}

std::string written(ModelFile& file, const TemporaryFolder& folder) {
  file.write(folder / "out.onnx", {.overwrite = true})->commit();
  return read_bytes(folder / "out.onnx");
}

int id_of(const ModelFile& file, const std::string& name) { return file.model().graph.find_initializer(name)->id; }

}  // namespace

TEST_CASE("a slice rewrites dims and data and nothing else, in every kind of storage", "[onnx][edit]") {
  const std::vector<StorageCase> cases = {
      {"raw_data", bytes_field(9, packed<float>({0, 1, 2, 3, 4, 5})), bytes_field(9, packed<float>({0, 2, 3, 5}))},
      {"packed float_data", bytes_field(4, packed<float>({0, 1, 2, 3, 4, 5})), bytes_field(4, packed<float>({0, 2, 3, 5}))},
      {"float_data, one field a value", fixed32s(4, {0, 1, 2, 3, 4, 5}), fixed32s(4, {0, 2, 3, 5})}};
  const std::string node = bytes_field(1, "x") + bytes_field(1, "w") + bytes_field(2, "y") + bytes_field(4, "MatMul");
  const auto graph = [&](const std::string& w, int64_t columns) {
    // An unknown field 77 in the graph, and one in a node, must survive.
    return bytes_field(1, node + number_field(77, 5)) + bytes_field(2, "main") + bytes_field(5, w) + number_field(77, 1) +
           bytes_field(11, info("x", {1, 2})) + bytes_field(12, info("y", {1, columns}));
  };
  for (const StorageCase& each : cases) {
    INFO(each.what);
    const TemporaryFolder folder;
    write_bytes(folder / "in.onnx", model_of(graph(tensor_head({2, 3}, kFloat32) + each.data, 3)));
    ModelFile file = ModelFile::load(folder / "in.onnx");
    GraphEdits edits;
    edits.slices[0] = {{1, {0, 2}}};
    edits.shapes["y"] = {1, 2};
    file.edit_graph_(edits);
    CHECK(file.has_edits());
    CHECK(written(file, folder) == model_of(graph(tensor_head({2, 2}, kFloat32) + each.expected, 2)));
    const ModelFile back = ModelFile::load(folder / "out.onnx");
    CHECK(back.tensor_data(0).to_floats() == std::vector<float>{0, 2, 3, 5});
    CHECK(full_check(back) == "");
  }
}

TEST_CASE("a slice comes after a mask or a replacement", "[onnx][edit]") {
  const TemporaryFolder folder;
  write_bytes(folder / "in.onnx", model_with(tensor("w", {4}, {1, 2, 3, 4}), "", 4));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  GraphEdits edits;
  edits.slices[0] = {{0, {1, 3}}};
  file.edit_graph_(edits);
  BitMask mask(4);
  mask.prune(1);
  file.mask_tensor_(0, mask);
  written(file, folder);
  CHECK(ModelFile::load(folder / "out.onnx").tensor_data(0).to_floats() == std::vector<float>{0, 4});
  file.replace_tensor_(0, HostTensor::of<float>(DType::Float32, {4}, {5, 6, 7, 8}));
  written(file, folder);
  CHECK(ModelFile::load(folder / "out.onnx").tensor_data(0).to_floats() == std::vector<float>{6, 8});
  file.edit_graph_({});
  written(file, folder);
  CHECK(ModelFile::load(folder / "out.onnx").tensor_data(0).to_floats() == std::vector<float>{5, 6, 7, 8});
}

TEST_CASE("attributes change in place, and new ones come last", "[onnx][edit]") {
  // The tag of `group` has an unknown field behind it; `pads` is unpacked.
  const auto conv = [](const std::string& group, const std::string& pads, const std::string& extra) {
    return bytes_field(1, "x") + bytes_field(1, "w") + bytes_field(2, "y") + bytes_field(4, "Conv") +
           bytes_field(5, bytes_field(1, "group") + group + number_field(20, 2) + number_field(88, 3)) + attribute("pads", pads, 7) + extra;
  };
  const auto graph = [&](const std::string& node) {
    return bytes_field(1, node) + bytes_field(2, "main") + bytes_field(5, tensor("w", {2, 1, 1, 1}, {1, 2})) +
           bytes_field(11, info("x", {1, 2, 3, 3})) + bytes_field(12, info("y", {1, 2, 3, 3}));
  };
  const std::string pads = number_field(8, 0) + number_field(8, 0) + number_field(8, 0) + number_field(8, 0);
  const TemporaryFolder folder;
  write_bytes(folder / "in.onnx", model_of(graph(conv(number_field(3, 2), pads, ""))));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  GraphEdits edits;
  edits.attributes[{-1, 0}] = {{"dilations", "", std::vector<int64_t>{1, 1}}, {"group", "", int64_t{300}}, {"pads", "", std::vector<int64_t>{1, 2, 3, 4}}};
  file.edit_graph_(edits);
  const std::string after = written(file, folder);
  const std::string new_pads = number_field(8, 1) + number_field(8, 2) + number_field(8, 3) + number_field(8, 4);
  const std::string dilations = attribute("dilations", number_field(8, 1) + number_field(8, 1), 7);
  CHECK(after == model_of(graph(conv(number_field(3, 300), new_pads, dilations))));
  ONNX_NAMESPACE::ModelProto model;
  REQUIRE(model.ParseFromString(after));
  CHECK(model.graph().node(0).attribute(0).i() == 300);
}

TEST_CASE("a removed node goes with its tensors, and its readers read another value", "[onnx][edit]") {
  // x -> Relu a -> Add(a, w) b -> Neg y; b is replaced by a, w and b's value_info go, `shared` is new.
  const std::string relu = bytes_field(1, bytes_field(1, "x") + bytes_field(2, "a") + bytes_field(4, "Relu"));
  const std::string add = bytes_field(1, bytes_field(1, "a") + bytes_field(1, "w") + bytes_field(2, "b") + bytes_field(4, "Add"));
  const auto neg = [](const std::string& input) { return bytes_field(1, bytes_field(1, input) + bytes_field(2, "y") + bytes_field(4, "Neg")); };
  const std::string head = relu;
  const std::string tail = bytes_field(2, "main") + bytes_field(5, tensor("v", {1}, {9})) + bytes_field(11, info("x", {-1, 2}));
  const std::string w = bytes_field(5, tensor("w", {2}, {1, 2}));
  const std::string end = bytes_field(12, info("y", {-1, 2}));
  const TemporaryFolder folder;
  write_bytes(folder / "in.onnx", model_of(head + add + neg("b") + w + tail + bytes_field(13, info("b", {-1, 2})) + end));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  GraphEdits edits;
  edits.removed_nodes = {{-1, 1}};
  edits.inputs[{-1, 2}][0] = "a";
  edits.removed_tensors = {id_of(file, "w")};
  edits.removed_values = {"b"};
  edits.shapes["y"] = {7, 2};  // a symbol is not a number: it stays
  edits.added.emplace_back("shared", HostTensor::of<int64_t>(DType::Int64, {2}, {3, 4}));
  file.edit_graph_(edits);
  BitMask mask(2);
  mask.prune(0);
  file.mask_tensor_(id_of(file, "w"), mask);  // of no consequence: the tensor is removed
  const std::string added = bytes_field(5, number_field(1, 2) + number_field(2, 7) + bytes_field(8, "shared") + bytes_field(9, packed<int64_t>({3, 4})));
  CHECK(written(file, folder) == model_of(head + neg("a") + tail + end + added));
  CHECK(full_check(ModelFile::load(folder / "out.onnx")) == "");
}

TEST_CASE("external tensors behind a sliced one move, aligned as they were", "[onnx][external]") {
  const auto entry = [](std::string_view key, std::string_view value) { return bytes_field(13, bytes_field(1, key) + bytes_field(2, value)); };
  const auto external = [&](std::initializer_list<int64_t> dims, const std::string& name, const std::string& offset, const std::string& length) {
    const std::string place = offset.empty() ? "" : entry("offset", offset);
    return tensor_head(dims, kFloat32, name) + entry("location", "weights.bin") + place + (length.empty() ? "" : entry("length", length)) + number_field(14, 1);
  };
  const TemporaryFolder folder;
  std::string data(256, '\0');
  for (int i = 0; i < 64; ++i) {
    const auto value = static_cast<float>(i);
    std::memcpy(data.data() + 4 * i, &value, 4);
  }
  write_bytes(folder / "weights.bin", data);
  const std::string model = model_with(external({32}, "w", "", "128"), bytes_field(7, bytes_field(5, external({8}, "v", "128", ""))), 32);
  write_bytes(folder / "in.onnx", model);
  ModelFile file = ModelFile::load(folder / "in.onnx");
  GraphEdits edits;
  AxisSlice slice{0, {}};
  for (int64_t i = 0; i < 31; ++i) slice.kept.push_back(i);
  edits.slices[id_of(file, "w")] = {slice};
  file.edit_graph_(edits);
  file.write(folder / "out.onnx")->commit();
  const ModelFile back = ModelFile::load(folder / "out.onnx");
  CHECK(back.tensor(id_of(back, "w")).shape == Shape{31});
  CHECK(back.tensor_data(id_of(back, "w")).to_floats().back() == 30.0f);
  CHECK(back.tensor_data(id_of(back, "v")).to_floats() == file.tensor_data(id_of(file, "v")).to_floats());
  CHECK(back.storage(id_of(back, "v")) == Storage::External);
  CHECK(std::filesystem::file_size(folder / "out.data") == 256);  // 4 bytes of w are now the padding up to 128

  slice.kept.resize(0);
  for (int64_t i = 0; i < 32; i += 2) slice.kept.push_back(i);
  edits.slices.clear();
  edits.removed_tensors = {id_of(file, "v")};
  edits.removed_values = {};
  edits.slices[id_of(file, "w")] = {slice};
  file.edit_graph_(edits);
  file.write(folder / "less.onnx")->commit();
  const ModelFile less = ModelFile::load(folder / "less.onnx");
  CHECK(less.tensor_count() == 1);
  CHECK(less.tensor_data(0).to_floats()[15] == 30.0f);
}

TEST_CASE("a shape constant gets other values, and another length", "[onnx][edit]") {
  const TemporaryFolder folder;
  const std::string shape = tensor_head({2}, 7, "shape") + number_field(7, 1) + number_field(7, 6);
  const std::string node = bytes_field(1, "x") + bytes_field(1, "shape") + bytes_field(2, "y") + bytes_field(4, "Reshape");
  write_bytes(folder / "in.onnx", model_of(bytes_field(1, node) + bytes_field(2, "main") + bytes_field(5, shape) +
                                           bytes_field(11, info("x", {2, 3})) + bytes_field(12, info("y", {1, 6}))));
  ModelFile file = ModelFile::load(folder / "in.onnx");
  GraphEdits edits;
  edits.tensors[0] = HostTensor::of<int64_t>(DType::Int64, {3}, {1, -1, 300});
  file.edit_graph_(edits);
  written(file, folder);
  const ModelFile back = ModelFile::load(folder / "out.onnx");
  CHECK(back.storage(0) == Storage::Typed);
  CHECK(back.tensor_data(0).to_integers() == std::vector<int64_t>{1, -1, 300});
}

#include "support/catch.h"

#include <onnx/onnx_pb.h>

#include "base/sha256.h"
#include "onnx/checker.h"
#include "onnx/files.h"
#include "onnx/model_file.h"

using namespace sparsify;
namespace proto = ONNX_NAMESPACE;

namespace {

/// Loads and saves without an edit; the sizes and the digest are compared too.
std::string loaded_and_saved(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "in.onnx", bytes);
  const ModelFile file = ModelFile::load(folder / "in.onnx");
  const auto writer = file.write(folder / "out.onnx");
  CHECK(writer->reopen().tensor_count() == file.tensor_count());
  const SavedFile saved = writer->commit();
  CHECK(saved.sha256 == file.sha256());
  CHECK(saved.size_bytes == static_cast<int64_t>(bytes.size()));
  CHECK(folder.files() == 2);
  return read_bytes(saved.path);
}

std::string plain_tensor() {
  return tensor_head({2}, 1) + bytes_field(9, packed<float>({1.0f, 2.0f}));
}

/// A model with everything that a tool is tempted to drop.
proto::ModelProto rich_model() {
  proto::ModelProto model;
  REQUIRE(model.ParseFromString(model_with(plain_tensor())));
  model.set_producer_name("hand");
  model.set_producer_version("1");
  model.set_doc_string("a model");
  for (const char* key : {"author", "licence"}) {
    auto* entry = model.add_metadata_props();
    entry->set_key(key);
    entry->set_value("someone");
  }
  auto* opset = model.add_opset_import();
  opset->set_domain("local");
  opset->set_version(1);
  auto* function = model.add_functions();
  function->set_name("Twice");
  function->set_domain("local");
  function->add_input("a");
  function->add_output("b");
  *function->add_opset_import() = model.opset_import(0);
  auto* constant = function->add_node();
  constant->set_op_type("Constant");
  constant->add_output("two");
  auto* value = constant->add_attribute();
  value->set_name("value");
  value->set_type(proto::AttributeProto::TENSOR);
  value->mutable_t()->set_data_type(1);
  value->mutable_t()->add_float_data(2.0f);
  auto* product = function->add_node();
  product->set_op_type("Mul");
  product->add_input("a");
  product->add_input("two");
  product->add_output("b");
  auto* training = model.add_training_info();
  auto* initializer = training->mutable_algorithm()->add_initializer();
  initializer->ParseFromString(plain_tensor());
  initializer->set_name("learning_rate");
  model.mutable_graph()->mutable_node(0)->set_doc_string("multiplies");
  auto* annotation = model.mutable_graph()->mutable_node(0)->add_metadata_props();
  annotation->set_key("namespace");
  annotation->set_value("layer1");
  return model;
}

}  // namespace

TEST_CASE("an untouched model comes back byte for byte", "[onnx][round_trip]") {
  const std::string plain = model_with(plain_tensor());
  CHECK(loaded_and_saved(plain) == plain);
  const std::string rich = rich_model().SerializeAsString();
  CHECK(loaded_and_saved(rich) == rich);
}

TEST_CASE("the graph's picture has functions, metadata aside, and training tensors are found",
          "[onnx][load]") {
  const TemporaryFolder folder;
  write_bytes(folder / "rich.onnx", rich_model().SerializeAsString());
  const ModelFile file = ModelFile::load(folder / "rich.onnx");
  CHECK(file.model().producer == "hand 1");
  CHECK(file.model().opsets.at("local") == 1);
  const Function* function = file.model().find_function("local", "Twice");
  REQUIRE(function != nullptr);
  CHECK(function->nodes.size() == 2);
  const auto& two = std::get<StoredTensor>(function->nodes[0].attributes[0].value);
  CHECK(two.name == "two");
  CHECK(file.tensor_data(two.id).to_floats() == std::vector<float>{2.0f});
  CHECK(file.storage(two.id) == Storage::Typed);
  CHECK(file.tensor_count() == 3);
  CHECK(full_check(file) == "");
}

TEST_CASE("unknown fields come back wherever they stand", "[onnx][round_trip]") {
  const std::string unknown = number_field(999, 7) + bytes_field(1000, "new") +
                              long_varint(1001 << 3 | 1, 3) + "12345678" +
                              long_varint(1002 << 3 | 5, 2) + "1234" +
                              // a group of an unknown kind, with a field and a group inside
                              long_varint(1003 << 3 | 3, 2) + number_field(1, 1) + "\x13" + "\x14" +
                              long_varint(1003 << 3 | 4, 2);
  const std::string tensor = unknown + number_field(1, 2) + unknown + number_field(2, 1) +
                             bytes_field(8, "w") + unknown +
                             bytes_field(9, packed<float>({1.0f, 2.0f})) + unknown;
  const std::string bytes = unknown + model_with(tensor, unknown) + unknown;
  CHECK(loaded_and_saved(bytes) == bytes);
}

TEST_CASE("encodings that no library writes come back as they came", "[onnx][round_trip]") {
  // Fields from last to first, lengths and tags with needless bytes, and the graph in two parts.
  const std::string tensor = long_bytes_field(9, packed<float>({1.0f, 2.0f})) + bytes_field(8, "w") +
                             long_varint(2 << 3, 2) + long_varint(1, 10) +
                             bytes_field(1, long_varint(2, 4));
  proto::ModelProto parts;
  REQUIRE(parts.ParseFromString(model_with(plain_tensor())));
  proto::GraphProto rest = parts.graph();
  rest.clear_initializer();
  const std::string bytes = long_bytes_field(7, long_bytes_field(5, tensor)) +
                            long_bytes_field(7, rest.SerializeAsString()) +
                            bytes_field(8, number_field(2, 17)) + long_varint(1 << 3, 1) +
                            long_varint(8, 4);
  CHECK(loaded_and_saved(bytes) == bytes);
}

TEST_CASE("a singular message in two parts is one tensor, as protobuf merges it", "[onnx][load]") {
  const std::string first = number_field(1, 2) + bytes_field(9, packed<float>({9.0f}));
  const std::string second = number_field(2, 1) + bytes_field(9, packed<float>({3.0f, 4.0f}));
  const std::string attribute = bytes_field(1, "value") + bytes_field(5, first) +
                                number_field(20, 4) + bytes_field(5, second);
  const std::string constant =
      bytes_field(2, "w") + bytes_field(4, "Constant") + bytes_field(5, attribute);
  proto::ModelProto model;
  REQUIRE(model.ParseFromString(model_with(plain_tensor())));
  model.mutable_graph()->clear_initializer();
  const std::string rest = model.SerializeAsString();
  const std::string bytes = bytes_field(7, bytes_field(1, constant)) + rest;
  CHECK(loaded_and_saved(bytes) == bytes);

  const TemporaryFolder folder;
  write_bytes(folder / "m.onnx", bytes);
  ModelFile file = ModelFile::load(folder / "m.onnx");
  REQUIRE(file.tensor_count() == 1);
  CHECK(file.tensor(0).shape == Shape{2});
  CHECK(file.tensor_data(0).to_floats() == std::vector<float>{3.0f, 4.0f});

  BitMask mask(2);
  mask.prune(0);
  file.mask_tensor_(0, mask);
  file.write(folder / "out.onnx")->commit();
  CHECK(ModelFile::load(folder / "out.onnx").tensor_data(0).to_floats() ==
        std::vector<float>{0.0f, 4.0f});
}

#include <fmt/core.h>

#include <set>

#include "base/error.h"
#include "onnx/checker.h"
#include "onnx/model_impl.h"
#include "onnx/proto_convert.h"
#include "onnx/splice.h"

namespace sparsify {
namespace {

constexpr int64_t kOldestIr = 3;
constexpr int64_t kNewestIr = 13;
constexpr int64_t kOldestOpset = 1;
constexpr const char* kConvert =
    "convert it first: onnx.version_converter.convert_version(model, 17), or export it again";

/// The file without tensor payloads. Every tensor gets its number as the field `segment.begin`, which no writer
/// uses (the loader refuses files that have it), so the parsed tensors can be told apart.
std::string strip_payloads(const ModelFile::Impl& impl) {
  std::vector<Splice> splices;
  for (size_t id = 0; id < impl.scan.tensors.size(); ++id) {
    const ScannedTensor& tensor = impl.scan.tensors[id];
    for (const FieldRun& run : tensor.data) {
      splices.push_back(replace_bytes(run.begin, run.end, run.frame, ""));
    }
    std::string begin;
    wire::append_tag(begin, 1, wire::Varint);
    wire::append_varint(begin, id);
    std::string segment;
    wire::append_bytes(segment, tensor_field::kSegment, begin);
    const int frame = tensor.frames.back();
    const size_t at = impl.scan.frames[frame].end;
    splices.push_back(replace_bytes(at, at, frame, std::move(segment)));
  }
  return spliced_text(impl.file->bytes(), impl.scan.frames, std::move(splices));
}

void check_versions(const proto::ModelProto& model, ModelFile::Impl& impl) {
  const int64_t ir = model.ir_version();
  if (ir < kOldestIr) {
    throw ResourceError{{.what = fmt::format("the model has IR version {}, supported are {} to {}", ir,
                                             kOldestIr, kNewestIr),
                         .where = "ir_version",
                         .fix = kConvert}};
  }
  if (ir > kNewestIr) {
    impl.warnings.push_back(fmt::format(
        "the model has IR version {}, newer than the known {}; what is new in it is kept but not checked",
        ir, kNewestIr));
  }
  if (model.opset_import_size() == 0) {
    throw ResourceError{{.what = "the model imports no operator set",
                         .where = "opset_import",
                         .fix = "the file is damaged: export the model again"}};
  }
  const auto& opsets = impl.model.opsets;
  const auto found = opsets.find("");
  if (found == opsets.end()) return;
  if (found->second < kOldestOpset) {
    throw ResourceError{{.what = fmt::format("the model uses opset {}, supported are {} to 27",
                                             found->second, kOldestOpset),
                         .where = "opset_import of ai.onnx",
                         .fix = kConvert}};
  }
  if (found->second > newest_known_opset()) {
    impl.warnings.push_back(fmt::format(
        "the model uses opset {}, newer than the known {}; operators are taken as they are known",
        found->second, newest_known_opset()));
  }
}

void warn_of_metadata(const proto::ModelProto& model, ModelFile::Impl& impl) {
  std::set<std::string> keys;
  for (const auto& entry : model.metadata_props()) {
    if (!keys.insert(entry.key()).second) {
      impl.warnings.push_back(fmt::format("the metadata has the key \"{}\" twice", entry.key()));
    }
  }
}

}  // namespace

std::vector<std::vector<std::pair<std::string, std::string>>> parse_model(ModelFile::Impl& impl) {
  proto::ModelProto model;
  if (!model.ParseFromString(strip_payloads(impl))) {
    throw ResourceError{{.what = "the file is not an ONNX model: a message in it is malformed or nests too deep",
                         .where = "",
                         .fix = "export the model again"}};
  }
  std::vector<std::vector<std::pair<std::string, std::string>>> entries(impl.scan.tensors.size());
  impl.tensors.resize(impl.scan.tensors.size());
  const ProtoConverter converter([&](const proto::TensorProto& tensor, const std::string& name) {
    const int64_t id = tensor.has_segment() ? tensor.segment().begin() : -1;
    invariant(id >= 0 && id < static_cast<int64_t>(entries.size()),
              "every parsed tensor was found by the scan");
    StoredTensor& stored = impl.tensors[id].stored;
    stored.name = name;
    stored.type = static_cast<DType>(tensor.data_type());
    stored.shape.assign(tensor.dims().begin(), tensor.dims().end());
    stored.id = static_cast<int>(id);
    if (tensor.data_location() == proto::TensorProto::EXTERNAL) {
      impl.tensors[id].storage = Storage::External;
      for (const auto& entry : tensor.external_data()) {
        entries[id].emplace_back(entry.key(), entry.value());
      }
    }
    return stored;
  });
  impl.model.ir_version = model.ir_version();
  for (const auto& opset : model.opset_import()) {
    impl.model.opsets[normal_domain(opset.domain())] = opset.version();
  }
  check_versions(model, impl);
  warn_of_metadata(model, impl);
  impl.model.producer = model.producer_name();
  if (!model.producer_version().empty()) {
    impl.model.producer += (impl.model.producer.empty() ? "" : " ") + model.producer_version();
  }
  impl.model.graph = converter.graph(model.graph());
  for (const auto& function : model.functions()) {
    impl.model.functions.push_back(converter.function(function));
  }
  // Not part of the picture, but their tensors are checked like all others.
  for (const auto& training : model.training_info()) {
    converter.graph(training.initialization());
    converter.graph(training.algorithm());
  }
  return entries;
}

}  // namespace sparsify

#include "onnx/metadata.h"

#include "base/error.h"
#include "onnx/proto_convert.h"

namespace sparsify {

std::map<std::string, std::string> facts_of(const ModelFile& file) {
  proto::ModelProto model;
  invariant(model.ParseFromString(file.skeleton("weights", 0)), "a loaded model parses again");
  std::map<std::string, std::string> facts{{"ir_version", std::to_string(model.ir_version())}};
  const auto add = [&facts](const std::string& name, const std::string& text) {
    if (!text.empty()) facts.emplace(name, text);
  };
  add("producer", model.producer_name() + (model.producer_version().empty() ? "" : " " + model.producer_version()));
  add("domain", model.domain());
  add("model_version", model.has_model_version() ? std::to_string(model.model_version()) : "");
  add("doc_string", model.doc_string());
  add("graph name", model.graph().name());
  for (const auto& entry : model.metadata_props()) facts["metadata " + entry.key()] = entry.value();
  return facts;
}

}  // namespace sparsify

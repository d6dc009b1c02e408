#include "onnx/graph_splices.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/error.h"
#include "onnx/edit_splices.h"

namespace sparsify {
namespace {

using wire::Field;

// Field numbers of onnx.proto.
constexpr uint32_t kModelGraph = 7, kModelFunction = 25;
constexpr uint32_t kGraphNode = 1, kGraphInitializer = 5, kGraphInput = 11, kGraphOutput = 12, kGraphValue = 13;
constexpr uint32_t kFunctionNode = 7;
constexpr uint32_t kNodeInput = 1, kNodeOutput = 2, kNodeName = 3, kNodeOp = 4, kNodeAttribute = 5;
constexpr uint32_t kAttributeName = 1, kAttributeFloat = 2, kAttributeInt = 3, kAttributeInts = 8, kAttributeType = 20;
constexpr uint32_t kInfoName = 1, kInfoType = 2, kTypeTensor = 1, kTensorShape = 2, kShapeDim = 1, kDimValue = 1;
constexpr uint64_t kTypeFloat = 1, kTypeInt = 2, kTypeInts = 7;  // AttributeProto.AttributeType

class GraphSplicer {
 public:
  GraphSplicer(const ModelFile::Impl& impl, std::vector<Frame>& frames, std::vector<Splice>& splices)
      : impl_(impl), edits_(impl.edits), file_(impl.file->bytes()), frames_(frames), splices_(splices) {
    for (size_t i = 0; i < frames.size(); ++i) known_.emplace(frames[i].payload, static_cast<int>(i));
  }

  void run() {
    int function = 0;
    int node = 0;
    int last_graph = -1;
    each(0, file_.size(), [&](const Field& field) {
      if (field.is(kModelGraph, wire::Bytes)) {
        last_graph = frame_of(field, -1);
        walk_graph(field, last_graph, node);
      } else if (field.is(kModelFunction, wire::Bytes)) {
        walk_function(field, function++);
      }
    });
    append_initializers(last_graph);
    drop_inside_removed();
  }

 private:
  template <class Visit>
  void each(size_t begin, size_t end, Visit&& visit) const {
    wire::Reader reader(file_, begin, end);
    Field field;
    while (reader.next(field)) visit(field);
  }

  std::string_view text(const Field& field) const {
    return {reinterpret_cast<const char*>(file_.data()) + field.payload, field.end - field.payload};
  }

  /// The frame of a message, made where no tensor lies in it.
  int frame_of(const Field& field, int parent) {
    const auto [found, fresh] = known_.emplace(field.payload, static_cast<int>(frames_.size()));
    if (fresh) frames_.push_back({parent, field.length, field.payload, field.end});
    return found->second;
  }

  void remove(const Field& field, int frame) {
    removed_.push_back({field.begin, field.end});
    kept_.push_back(replace_bytes(field.begin, field.end, frame, ""));
  }

  void walk_graph(const Field& graph, int frame, int& node) {
    each(graph.payload, graph.end, [&](const Field& field) {
      if (field.type != wire::Bytes) return;
      if (field.number == kGraphNode) edit_node(field, frame, {-1, node++});
      if (field.number == kGraphInitializer) edit_initializer(field, frame);
      if (field.number == kGraphInput || field.number == kGraphOutput || field.number == kGraphValue) edit_info(field, frame);
    });
  }

  void walk_function(const Field& function, int index) {
    int node = 0;
    const int frame = frame_of(function, -1);
    each(function.payload, function.end, [&](const Field& field) {
      if (field.is(kFunctionNode, wire::Bytes)) edit_node(field, frame, {index, node++});
    });
  }

  void edit_initializer(const Field& field, int frame) {
    const auto found = known_.find(field.payload);
    if (found == known_.end()) return;
    for (const int id : edits_.removed_tensors) {
      if (impl_.scan.tensors[static_cast<size_t>(id)].frames.front() == found->second) remove(field, frame);
    }
  }

  void edit_node(const Field& field, int graph, NodePlace place) {
    if (edits_.removed_nodes.contains(place)) {
      remove(field, graph);
      return;
    }
    const auto inputs = edits_.inputs.find(place);
    if (inputs != edits_.inputs.end()) rename(field, frame_of(field, graph), kNodeInput, inputs->second);
    const NodeEdits& nodes = impl_.node_edits;
    std::vector<Attribute> changed;
    if (const auto found = edits_.attributes.find(place); found != edits_.attributes.end()) changed = found->second;
    if (place.function < 0) {
      const auto outputs = nodes.outputs.find(place.node);
      if (outputs != nodes.outputs.end()) rename(field, frame_of(field, graph), kNodeOutput, outputs->second);
      const auto floats = nodes.floats.find(place.node);
      if (floats != nodes.floats.end()) {
        for (const auto& [name, value] : floats->second) changed.push_back({name, "", value});
      }
    }
    if (!changed.empty()) {
      const int frame = frame_of(field, graph);
      std::string added;  // behind what changes in the attributes that are there
      for (const Attribute& attribute : changed) added += edit_attribute(field, frame, attribute);
      if (!added.empty()) kept_.push_back(replace_bytes(field.end, field.end, frame, std::move(added)));
    }
    for (const AddedNode& node : nodes.added) {
      if (place.function < 0 && node.behind == place.node) kept_.push_back(replace_bytes(field.end, field.end, graph, message_of(node)));
    }
  }

  /// Names of inputs or outputs, by their number.
  void rename(const Field& node, int frame, uint32_t kind, const std::map<int, std::string>& names) {
    int number = 0;
    each(node.payload, node.end, [&](const Field& field) {
      if (!field.is(kind, wire::Bytes)) return;
      const auto found = names.find(number++);
      if (found == names.end()) return;
      std::string bytes;
      wire::append_bytes(bytes, kind, found->second);
      kept_.push_back(replace_bytes(field.begin, field.end, frame, std::move(bytes)));
    });
    invariant(names.empty() || names.rbegin()->first < number, "a node is rewired where it has inputs or outputs");
  }

  static std::string message_of(const AddedNode& node) {
    std::string message;
    for (const std::string& input : node.inputs) wire::append_bytes(message, kNodeInput, input);
    for (const std::string& output : node.outputs) wire::append_bytes(message, kNodeOutput, output);
    wire::append_bytes(message, kNodeName, node.name);
    wire::append_bytes(message, kNodeOp, node.op_type);
    std::string field;
    wire::append_bytes(field, kGraphNode, message);
    return field;
  }

  static std::string encode(const Attribute& attribute) {
    std::string bytes;
    const auto number = [&](uint32_t field, int64_t value) {
      wire::append_tag(bytes, field, wire::Varint);
      wire::append_varint(bytes, static_cast<uint64_t>(value));
    };
    if (const auto* one = std::get_if<int64_t>(&attribute.value)) {
      number(kAttributeInt, *one);
    } else if (const auto* many = std::get_if<std::vector<int64_t>>(&attribute.value)) {
      for (const int64_t value : *many) number(kAttributeInts, value);
    } else if (const auto* real = std::get_if<float>(&attribute.value)) {
      wire::append_tag(bytes, kAttributeFloat, wire::Fixed32);
      bytes.append(reinterpret_cast<const char*>(real), sizeof *real);
    } else {
      invariant(false, "an edited attribute is int, ints or float");
    }
    return bytes;
  }

  /// Returns the bytes of an attribute that the node lacks.
  std::string edit_attribute(const Field& node, int frame, const Attribute& attribute) {
    const bool is_int = std::holds_alternative<int64_t>(attribute.value);
    const bool is_float = std::holds_alternative<float>(attribute.value);
    const uint32_t number = is_int ? kAttributeInt : is_float ? kAttributeFloat : kAttributeInts;
    std::string value = encode(attribute);
    bool found = false;
    each(node.payload, node.end, [&](const Field& field) {
      if (!field.is(kNodeAttribute, wire::Bytes) || name_of_message(field) != attribute.name) return;
      found = true;
      const int inside = frame_of(field, frame);
      each(field.payload, field.end, [&](const Field& old) {
        if (old.number != number) return;
        kept_.push_back(replace_bytes(old.begin, old.end, inside, std::exchange(value, "")));
      });
      if (!value.empty()) kept_.push_back(replace_bytes(field.end, field.end, inside, std::exchange(value, "")));
    });
    if (found) return "";
    std::string message;
    wire::append_bytes(message, kAttributeName, attribute.name);
    message += value;
    wire::append_tag(message, kAttributeType, wire::Varint);
    wire::append_varint(message, is_int ? kTypeInt : is_float ? kTypeFloat : kTypeInts);
    std::string bytes;
    wire::append_bytes(bytes, kNodeAttribute, message);
    return bytes;
  }

  /// The name of an AttributeProto or a ValueInfoProto.
  std::string_view name_of_message(const Field& message) const {
    std::string_view name;
    each(message.payload, message.end, [&](const Field& field) {
      if (field.is(kInfoName, wire::Bytes)) name = text(field);
    });
    return name;
  }

  void edit_info(const Field& info, int graph) {
    const std::string name(name_of_message(info));
    if (edits_.removed_values.contains(name) && info.number != kGraphOutput) {
      remove(info, graph);
      return;
    }
    const auto shape = edits_.shapes.find(name);
    if (shape == edits_.shapes.end()) return;
    inside(info, graph, kInfoType, [&](const Field& type, int info_frame) {
      inside(type, info_frame, kTypeTensor, [&](const Field& tensor, int type_frame) {
        inside(tensor, type_frame, kTensorShape, [&](const Field& stated, int tensor_frame) {
          edit_shape(stated, frame_of(stated, tensor_frame), shape->second);
        });
      });
    });
  }

  /// visit(child, frame of the message) for the fields of one number that are messages.
  template <class Visit>
  void inside(const Field& message, int parent, uint32_t number, Visit&& visit) {
    each(message.payload, message.end, [&](const Field& field) {
      if (field.is(number, wire::Bytes)) visit(field, frame_of(message, parent));
    });
  }

  void edit_shape(const Field& stated, int frame, const Shape& sizes) {
    std::vector<Field> dims;
    each(stated.payload, stated.end, [&](const Field& field) {
      if (field.is(kShapeDim, wire::Bytes)) dims.push_back(field);
    });
    if (dims.size() != sizes.size()) return;
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      each(dims[axis].payload, dims[axis].end, [&](const Field& field) {
        if (!field.is(kDimValue, wire::Varint) || static_cast<int64_t>(field.value) == sizes[axis] || sizes[axis] < 0) return;
        std::string bytes;
        wire::append_tag(bytes, kDimValue, wire::Varint);
        wire::append_varint(bytes, static_cast<uint64_t>(sizes[axis]));
        kept_.push_back(replace_bytes(field.begin, field.end, frame_of(dims[axis], frame), std::move(bytes)));
      });
    }
  }

  static std::string info_of(const std::string& name, const HostTensor& tensor) {
    std::string shape;
    for (const int64_t size : tensor.shape()) {
      std::string dim;
      wire::append_tag(dim, kDimValue, wire::Varint);
      wire::append_varint(dim, static_cast<uint64_t>(size));
      wire::append_bytes(shape, kShapeDim, dim);
    }
    std::string tensor_type;
    wire::append_tag(tensor_type, 1, wire::Varint);
    wire::append_varint(tensor_type, static_cast<uint64_t>(tensor.type()));
    wire::append_bytes(tensor_type, kTensorShape, shape);
    std::string type;
    wire::append_bytes(type, kTypeTensor, tensor_type);
    std::string info;
    wire::append_bytes(info, kInfoName, name);
    wire::append_bytes(info, kInfoType, type);
    return info;
  }

  void append_initializers(int graph) {
    if (edits_.added.empty()) return;
    invariant(graph >= 0, "a model has a graph");
    std::string fields;
    for (const auto& [name, tensor] : edits_.added) {
      std::string message;
      for (const int64_t size : tensor.shape()) {
        wire::append_tag(message, 1, wire::Varint);
        wire::append_varint(message, static_cast<uint64_t>(size));
      }
      wire::append_tag(message, 2, wire::Varint);
      wire::append_varint(message, static_cast<uint64_t>(tensor.type()));
      wire::append_bytes(message, 8, name);
      const auto bytes = tensor.bytes();
      wire::append_bytes(message, tensor_field::kRawData, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      wire::append_bytes(fields, kGraphInitializer, message);
      if (impl_.model.ir_version < 4) wire::append_bytes(fields, kGraphInput, info_of(name, tensor));  // there, initializers are inputs too
    }
    const size_t end = frames_[static_cast<size_t>(graph)].end;
    kept_.push_back(replace_bytes(end, end, graph, std::move(fields)));
  }

  void drop_inside_removed() {
    const auto inside = [&](const Splice& splice) {
      return std::any_of(removed_.begin(), removed_.end(),
                         [&](const auto& range) { return splice.begin >= range.first && splice.end <= range.second && splice.begin < range.second; });
    };
    splices_.erase(std::remove_if(splices_.begin(), splices_.end(), inside), splices_.end());
    for (Splice& splice : kept_) splices_.push_back(std::move(splice));
  }

  const ModelFile::Impl& impl_;
  const GraphEdits& edits_;
  std::span<const std::byte> file_;
  std::vector<Frame>& frames_;
  std::vector<Splice>& splices_;
  std::vector<Splice> kept_;
  std::vector<std::pair<size_t, size_t>> removed_;
  std::unordered_map<size_t, int> known_;  ///< start of a message's payload -> frame
};

}  // namespace

void add_graph_splices(const ModelFile::Impl& impl, std::vector<Frame>& frames, std::vector<Splice>& splices) {
  if (!impl.edits.empty() || !impl.node_edits.empty()) GraphSplicer(impl, frames, splices).run();
}

}  // namespace sparsify

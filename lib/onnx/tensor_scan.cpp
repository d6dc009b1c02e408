#include "onnx/tensor_scan.h"

namespace sparsify {
namespace {

using wire::Field;

enum class Message { None, Model, Training, Graph, Node, Attribute, Function, Sparse, Tensor };

/// The message that a field of `parent` holds, as far as it can hold tensors (onnx.proto).
Message child_of(Message parent, uint32_t number) {
  switch (parent) {
    case Message::Model:
      if (number == 7) return Message::Graph;
      if (number == 20) return Message::Training;
      if (number == 25) return Message::Function;
      return Message::None;
    case Message::Training: return number == 1 || number == 2 ? Message::Graph : Message::None;
    case Message::Graph:
      if (number == 1) return Message::Node;
      if (number == 5) return Message::Tensor;
      if (number == 15) return Message::Sparse;
      return Message::None;
    case Message::Node: return number == 5 ? Message::Attribute : Message::None;
    case Message::Attribute:
      if (number == 5 || number == 10) return Message::Tensor;
      if (number == 6 || number == 11) return Message::Graph;
      if (number == 22 || number == 23) return Message::Sparse;
      return Message::None;
    case Message::Function:
      if (number == 7) return Message::Node;
      if (number == 11) return Message::Attribute;
      return Message::None;
    case Message::Sparse: return number == 1 || number == 2 ? Message::Tensor : Message::None;
    default: return Message::None;
  }
}

bool is_data_field(const Field& field) {
  using namespace tensor_field;
  switch (field.number) {
    case kFloatData: return field.type == wire::Fixed32 || field.type == wire::Bytes;
    case kDoubleData: return field.type == wire::Fixed64 || field.type == wire::Bytes;
    case kInt32Data:
    case kInt64Data:
    case kUint64Data: return field.type == wire::Varint || field.type == wire::Bytes;
    case kStringData:
    case kRawData: return field.type == wire::Bytes;
    default: return false;
  }
}

class Scanner {
 public:
  explicit Scanner(std::span<const std::byte> file) : file_(file) {}

  ModelScan run() {
    Slots none;
    walk(Message::Model, -1, 0, file_.size(), 0, none);
    return std::move(scan_);
  }

 private:
  /// Tensors that a further occurrence of the same singular field is merged into; -1 = not seen yet.
  struct Slots {
    int tensor = -1;   // AttributeProto.t
    int values = -1;   // SparseTensorProto.values
    int indices = -1;  // SparseTensorProto.indices
  };

  void walk(Message message, int frame, size_t begin, size_t end, int depth, Slots& slots) {
    if (depth > wire::kMaxDepth) throw wire::Fault{wire::Fault::Kind::TooDeep, begin, 0, 0};
    wire::Reader reader(file_, begin, end);
    Field field;
    while (reader.next(field)) {
      if (message == Message::Model) {
        scan_.has_ir_version |= field.is(1, wire::Varint);
        scan_.has_graph |= field.is(7, wire::Bytes);
      }
      const Message child =
          field.type == wire::Bytes ? child_of(message, field.number) : Message::None;
      if (child != Message::None) descend(message, child, field, frame, depth, slots);
    }
  }

  void descend(Message parent, Message message, const Field& field, int parent_frame, int depth,
               Slots& slots) {
    const int frame = static_cast<int>(scan_.frames.size());
    scan_.frames.push_back({parent_frame, field.length, field.payload, field.end});
    if (message == Message::Tensor) {
      scan_tensor(frame, tensor_for(parent, field.number, slots));
      return;
    }
    // Only AttributeProto.sparse_tensor (22) is singular; its parts merge into those of its attribute.
    const bool merges = parent == Message::Attribute && field.number == 22;
    Slots own;
    walk(message, frame, field.payload, field.end, depth + 1, merges ? slots : own);
    if (static_cast<int>(scan_.frames.size()) == frame + 1) scan_.frames.pop_back();  // no tensor
  }

  int tensor_for(Message parent, uint32_t number, Slots& slots) {
    int fresh = -1;
    int* slot = &fresh;
    if (parent == Message::Attribute && number == 5) slot = &slots.tensor;
    if (parent == Message::Sparse) slot = number == 1 ? &slots.values : &slots.indices;
    if (*slot < 0) {
      *slot = static_cast<int>(scan_.tensors.size());
      scan_.tensors.emplace_back();
    }
    return *slot;
  }

  void scan_tensor(int frame, int id) {
    ScannedTensor& tensor = scan_.tensors[id];
    tensor.frames.push_back(frame);
    wire::Reader reader(file_, scan_.frames[frame].payload, scan_.frames[frame].end);
    Field field;
    while (reader.next(field)) {
      tensor.has_segment |= field.is(tensor_field::kSegment, wire::Bytes);
      if (!is_data_field(field)) continue;
      if (!tensor.data.empty()) {
        FieldRun& last = tensor.data.back();
        if (last.number == field.number && last.type == field.type && last.end == field.begin) {
          last.end = field.end;
          continue;
        }
      }
      tensor.data.push_back({field.number, field.type, field.begin, field.end, frame});
    }
  }

  std::span<const std::byte> file_;
  ModelScan scan_;
};

}  // namespace

ModelScan scan_model(std::span<const std::byte> file) { return Scanner(file).run(); }

}  // namespace sparsify

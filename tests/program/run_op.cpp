#include "program/run_op.h"

#include <ATen/ops/empty.h>

#include <stdexcept>

namespace sparsify {
namespace {

class OneCall final : public OpCall {
 public:
  OneCall(const OneNode& node, const std::vector<Value>& inputs, std::vector<Value>& outputs) {
    described_.name = "node";
    described_.op_type = node.op;
    described_.domain = node.domain;
    described_.attributes = node.attributes;
    node_ = &described_;
    opset_ = node.opset;
    training_ = node.training;
    seed_ = node.seed;
    for (const Value& input : inputs) inputs_.push_back(input.empty() ? nullptr : &input);
    for (Value& output : outputs) outputs_.push_back(&output);
  }

  std::vector<Value> run_subgraph(std::string_view, const std::vector<Value>&) override {
    throw std::logic_error("a single node has no subgraphs");
  }

 private:
  Value load_tensor(const StoredTensor&) const override { throw std::logic_error("a single node has no file"); }

  Node described_;
};

}  // namespace

std::vector<Value> run_op(const OneNode& node, const std::vector<Value>& inputs, size_t outputs) {
  const OpSpec* op = find_op(node.domain, node.op);
  if (op == nullptr) throw std::logic_error("no operator is named " + node.op);
  std::vector<Value> results(outputs);
  OneCall call(node, inputs, results);
  op->function(call);
  return results;
}

Value floats(const std::vector<int64_t>& shape, const std::vector<float>& numbers) {
  return from_host(HostTensor::of<float>(DType::Float32, shape, numbers));
}

Value integers(DType type, const std::vector<int64_t>& shape, const std::vector<int64_t>& numbers) {
  return Value(from_host(HostTensor::of<int64_t>(DType::Int64, shape, numbers)).tensor(), type);
}

std::vector<float> to_floats(const Value& value) {
  const at::Tensor flat = value.tensor().detach().to(at::kCPU, at::kFloat).contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

std::vector<int64_t> to_integers(const Value& value) {
  const at::Tensor flat = value.tensor().to(at::kCPU, at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

}  // namespace sparsify

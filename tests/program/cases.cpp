#include "program/cases.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>
#include <onnx/onnx-data.pb.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "base/error.h"
#include "program/op.h"
#include "program/program.h"
#include "support/shared.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;
namespace pb = ONNX_NAMESPACE;

double largest_seen = 0;

/// Another generator than the one that recorded the outputs: only their types and shapes can agree.
bool draws_random_numbers(const ModelFile& file) {
  const auto draws = [](const Node& node) {
    const OpSpec* op = find_op(node.domain, node.op_type);
    const bool random = op != nullptr && !op->deterministic;
    return random && (node.op_type != "Dropout" || node.inputs.size() > 2);  // without training_mode: the identity
  };
  const std::vector<Node>& nodes = file.model().graph.nodes;
  return std::any_of(nodes.begin(), nodes.end(), draws);
}

HostTensor host_of(const pb::TensorProto& proto) {
  const auto type = static_cast<DType>(proto.data_type());
  Shape shape(proto.dims().begin(), proto.dims().end());
  if (type == DType::String) {
    return HostTensor::of_strings(shape, {proto.string_data().begin(), proto.string_data().end()});
  }
  HostTensor tensor(type, shape);
  const std::span<std::byte> bytes = tensor.mutable_bytes();
  const auto copy = [&](const void* from, size_t size) {
    invariant(size == bytes.size(), "a recorded tensor's bytes fit its shape");
    if (size > 0) std::memcpy(bytes.data(), from, size);
  };
  if (proto.has_raw_data()) {
    copy(proto.raw_data().data(), proto.raw_data().size());
  } else if (type == DType::Float32 || type == DType::Complex64) {
    copy(proto.float_data().data(), static_cast<size_t>(proto.float_data_size()) * 4);
  } else if (type == DType::Float64 || type == DType::Complex128) {
    copy(proto.double_data().data(), static_cast<size_t>(proto.double_data_size()) * 8);
  } else if (type == DType::Int64) {
    copy(proto.int64_data().data(), static_cast<size_t>(proto.int64_data_size()) * 8);
  } else if (type == DType::UInt64 || type == DType::UInt32) {
    const size_t width = type == DType::UInt64 ? 8 : 4;
    for (int i = 0; i < proto.uint64_data_size(); ++i) {
      const uint64_t element = proto.uint64_data(i);
      std::memcpy(bytes.data() + static_cast<size_t>(i) * width, &element, width);
    }
  } else {
    const size_t count = static_cast<size_t>(proto.int32_data_size());
    const size_t width = count == 0 ? 1 : bytes.size() / count == 0 ? 1 : bytes.size() / count;
    for (size_t i = 0; i < count && (i + 1) * width <= bytes.size(); ++i) {
      const int32_t element = proto.int32_data(static_cast<int>(i));
      std::memcpy(bytes.data() + i * width, &element, width);
    }
  }
  return tensor;
}

Value value_of(const pb::SequenceProto& proto) {
  std::vector<Value> items;
  for (const auto& tensor : proto.tensor_values()) items.push_back(from_host(host_of(tensor)));
  for (const auto& inner : proto.sequence_values()) items.push_back(value_of(inner));
  return Value::of_sequence(std::move(items));
}

Value value_of(const pb::OptionalProto& proto) {
  if (proto.has_tensor_value()) return from_host(host_of(proto.tensor_value()));
  if (proto.has_sequence_value()) return value_of(proto.sequence_value());
  return Value();
}

template <class Proto>
Proto parse(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  Proto proto;
  if (!proto.ParseFromIstream(&in)) throw std::runtime_error("cannot parse " + file.string());
  return proto;
}

std::string tensor_difference(const Value& actual, const Value& expected, const Tolerance& tolerance) {
  if (actual.tensor().sizes() != expected.tensor().sizes()) {
    return fmt::format("shape {} instead of {}", actual.describe(), expected.describe());
  }
  if (expected.tensor().numel() == 0) return "";
  const bool complex = expected.tensor().is_complex();
  const at::Tensor a = actual.tensor().detach().to(at::kCPU, complex ? at::kComplexDouble : at::kDouble);
  const at::Tensor e = expected.tensor().to(complex ? at::kComplexDouble : at::kDouble);
  const bool floating = expected.tensor().is_floating_point() || complex;
  if (!floating) return a.equal(e) ? "" : fmt::format("integers differ, at most by {}", (a - e).abs().max().item<double>());
  if (!complex && !a.isnan().equal(e.isnan())) return "NaN in different places";
  const at::Tensor same = (a == e).logical_or(complex ? (a == e) : a.isnan());
  const at::Tensor gap = at::where(same, at::zeros_like((a - e).abs()), (a - e).abs());
  const at::Tensor finite = complex ? e.abs() : at::where(e.isfinite(), e.abs(), at::zeros_like(e));
  const double largest = finite.max().item<double>();
  const double worst = gap.max().item<double>();
  if (largest > 0) largest_seen = std::max(largest_seen, worst / largest);
  double element = tolerance.relative_to_element;
  if (expected.type() == DType::Float16) element = std::max(element, 4e-3);
  if (expected.type() == DType::BFloat16) element = std::max(element, 2e-2);
  const at::Tensor allowed = finite * element + (tolerance.absolute + tolerance.relative_to_largest * largest);
  if ((gap <= allowed).all().item<bool>()) return "";
  return fmt::format("differs by {:.3g} where the largest magnitude is {:.3g}", worst, largest);
}

}  // namespace

double last_relative_difference() { return largest_seen; }

std::vector<RecordedCase> find_cases(const fs::path& root) {
  std::vector<RecordedCase> cases;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".onnx") continue;
    RecordedCase found;
    found.model = entry.path();
    found.name = entry.path().stem() == "model" ? entry.path().parent_path().filename().string() : entry.path().stem().string();
    for (const auto& data : fs::directory_iterator(entry.path().parent_path())) {
      if (data.path().filename().string().starts_with("test_data_set_")) found.data_sets.push_back(data.path());
    }
    const fs::path recorded = entry.path().parent_path() / "recorded" / found.name / "test_data_set_0";
    if (found.data_sets.empty() && fs::exists(recorded)) found.data_sets.push_back(recorded);
    std::sort(found.data_sets.begin(), found.data_sets.end());
    if (!found.data_sets.empty()) cases.push_back(std::move(found));
  }
  std::sort(cases.begin(), cases.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return cases;
}

Value read_recorded(const fs::path& file, const ValueInfo& signature) {
  if (signature.kind == ValueInfo::Kind::Sequence) return value_of(parse<pb::SequenceProto>(file));
  if (signature.kind == ValueInfo::Kind::Optional) return value_of(parse<pb::OptionalProto>(file));
  return from_host(host_of(parse<pb::TensorProto>(file)));
}

std::string difference(const Value& actual, const Value& expected, const Tolerance& tolerance) {
  if (expected.empty() != actual.empty()) return actual.describe() + " instead of " + expected.describe();
  if (expected.empty()) return "";
  if (expected.is_sequence()) {
    if (!actual.is_sequence() || actual.items().size() != expected.items().size()) {
      return actual.describe() + " instead of " + expected.describe();
    }
    for (size_t i = 0; i < expected.items().size(); ++i) {
      const std::string inner = difference(actual.items()[i], expected.items()[i], tolerance);
      if (!inner.empty()) return fmt::format("item {}: {}", i, inner);
    }
    return "";
  }
  if (actual.type() != expected.type()) return actual.describe() + " instead of " + expected.describe();
  if (expected.is_strings()) {
    const bool equal = actual.strings().shape() == expected.strings().shape() &&
                       actual.strings().strings() == expected.strings().strings();
    return equal ? "" : "strings differ";
  }
  return tensor_difference(actual, expected, tolerance);
}

std::string run_case(const RecordedCase& recorded, const Tolerance& tolerance) {
  largest_seen = 0;
  try {
    const ModelFile file = ModelFile::load(recorded.model.string());
    const auto program = Program::build(file);
    const bool random = draws_random_numbers(file);
    for (const fs::path& folder : recorded.data_sets) {
      std::vector<Value> inputs;
      for (size_t i = 0; i < program->inputs().size(); ++i) {
        const fs::path path = folder / fmt::format("input_{}.pb", i);
        inputs.push_back(fs::exists(path) ? read_recorded(path, program->inputs()[i]) : Value());
      }
      // Twice: the second run uses what the first has folded.
      for (int pass = 0; pass < 2; ++pass) {
        const RunResult result = program->run(inputs);
        for (size_t i = 0; i < result.outputs.size(); ++i) {
          const Value expected = read_recorded(folder / fmt::format("output_{}.pb", i), program->outputs()[i]);
          std::string differs = difference(result.outputs[i], expected, tolerance);
          if (random && result.outputs[i].describe() == expected.describe()) differs.clear();
          if (!differs.empty()) return fmt::format("output {} (run {}): {}", i, pass + 1, differs);
        }
      }
    }
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

fs::path unpacked_conformance_cases() {
  const fs::path archive = shared_or_skip("conformance/onnx-v1.22.0-backend-test-data.tar.xz", "ONNX conformance cases");
  if (archive.empty()) return {};
  const fs::path folder = fs::temp_directory_path() / "sparsify-conformance-1.22.0";
  if (!fs::exists(folder / ".complete")) {
    const std::string command = fmt::format(
        "python3 -c \"import tarfile,os,sys; t=tarfile.open(sys.argv[1]); t.extractall(sys.argv[2]); open(sys.argv[2]+'/.complete','w')\" '{}' '{}'",
        archive.string(), folder.string());
    if (std::system(command.c_str()) != 0) throw std::runtime_error("cannot unpack " + archive.string());
  }
  return folder;
}

}  // namespace sparsify

// ai.onnx.ml: preparing features. Classic machine learning is evaluated, not trained: no gradients.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

at::Tensor numbers(const OpCall& call, std::string_view name) {
  return at::tensor(call.attribute_numbers(name), at::TensorOptions(at::kFloat));
}

/// Every element as text that is equal for equal elements; all NaN are one key.
std::vector<std::string> keys_of(const Value& value) {
  if (value.is_strings()) return value.strings().strings();
  const bool floating = value.tensor().is_floating_point();
  const at::Tensor wide = value.tensor().detach().to(at::kCPU, floating ? at::kDouble : at::kLong).contiguous();
  std::vector<std::string> keys;
  for (int64_t i = 0; i < wide.numel(); ++i) {
    char bytes[8];
    if (floating) {
      const double element = wide.const_data_ptr<double>()[i];
      const double one = std::isnan(element) ? std::numeric_limits<double>::quiet_NaN() : element + 0.0;  // -0 -> 0
      std::memcpy(bytes, &one, 8);
    } else {
      std::memcpy(bytes, wide.const_data_ptr<int64_t>() + i, 8);
    }
    keys.emplace_back(bytes, 8);
  }
  return keys;
}

/// For each element of `value` its place among `keys`, or `missing`. The last of equal keys counts.
at::Tensor places(const Value& value, const Value& keys, int64_t missing, const Shape& shape) {
  std::map<std::string, int64_t> known;
  int64_t place = 0;
  for (const std::string& key : keys_of(keys)) known.insert_or_assign(key, place++);
  std::vector<int64_t> result;
  for (const std::string& key : keys_of(value)) {
    const auto found = known.find(key);
    result.push_back(found == known.end() ? missing : found->second);
  }
  return integer_tensor(result).view(shape);
}

Value strings(std::vector<std::string> texts) {
  const auto count = static_cast<int64_t>(texts.size());
  return Value::of_strings(HostTensor::of_strings({count}, std::move(texts)));
}

/// `keys_*` or `values_*`, whichever type is given; nothing if none is.
Value listed(const OpCall& call, const std::string& prefix) {
  if (call.has_attribute(prefix + "tensor")) return call.attribute_tensor(prefix + "tensor");
  if (call.has_attribute(prefix + "strings")) return strings(call.attribute_texts(prefix + "strings"));
  if (call.has_attribute(prefix + "floats")) return numbers(call, prefix + "floats");
  if (call.has_attribute(prefix + "int64s")) return integer_tensor(call.attribute_integers(prefix + "int64s"));
  return Value();
}

Value fallback_for(const OpCall& call, const Value& values) {
  if (call.has_attribute("default_tensor")) return call.attribute_tensor("default_tensor");
  if (values.is_strings()) return strings({call.attribute_text("default_string", "_Unused")});
  if (!values.tensor().is_floating_point()) {
    return Value(integer_tensor({call.attribute("default_int64", -1)}), values.type());
  }
  const double number = call.attribute_number("default_float", -0.0);
  return at::tensor({number}, values.tensor().options());
}

void label_encoder(OpCall& call) {
  Value keys = listed(call, "keys_");
  Value values = listed(call, "values_");
  if (call.has_attribute("classes_strings")) {  // version 1: strings and their places
    const std::vector<std::string> classes = call.attribute_texts("classes_strings");
    std::vector<int64_t> indices;
    for (size_t i = 0; i < classes.size(); ++i) indices.push_back(static_cast<int64_t>(i));
    const bool to_strings = !call.value(0).is_strings();
    keys = to_strings ? Value(integer_tensor(indices)) : strings(classes);
    values = to_strings ? strings(classes) : Value(integer_tensor(indices));
  }
  if (keys.empty() || values.empty()) call.fail("keys or values are missing", "export the model again");
  const auto count = static_cast<int64_t>(keys_of(keys).size());
  const at::Tensor chosen = places(call.value(0), keys, count, shape_of(call, 0));
  const Value fallback = fallback_for(call, values);
  call.set(0, moved({&values, &fallback}, [&](const std::vector<at::Tensor>& x) {
    return at::cat({x[0].flatten().narrow(0, 0, count), x[1].flatten()})
        .index_select(0, chosen.flatten().to(x[0].device()))
        .view(chosen.sizes());
  }));
}

void one_hot_encoder(OpCall& call) {
  const bool by_text = call.value(0).is_strings();
  const Value categories =
      by_text ? strings(call.attribute_texts("cats_strings")) : Value(integer_tensor(call.attribute_integers("cats_int64s")));
  const auto count = static_cast<int64_t>(keys_of(categories).size());
  const Value input = by_text ? call.value(0) : Value(call.tensor(0).to(at::kLong));
  const at::Tensor chosen = places(input, categories, count, shape_of(call, 0));
  if (call.attribute("zeros", 1) == 0 && (chosen == count).any().item<bool>()) {
    call.fail("an element belongs to no category", "set zeros to 1, or check the data");
  }
  Shape shape = chosen.sizes().vec();
  shape.push_back(count + 1);
  const at::Tensor hot = at::zeros(shape, at::TensorOptions(at::kFloat)).scatter(-1, chosen.unsqueeze(-1), 1.0);
  call.set(0, hot.narrow(-1, 0, count));
}

void array_feature_extractor(OpCall& call) {
  const at::Tensor columns = call.tensor(1).flatten();
  call.set(0, moved(call.value(0), [&](const at::Tensor& x) {
    const at::Tensor picked = x.index_select(-1, columns.to(x.device(), at::kLong));
    return x.dim() == 1 ? picked.unsqueeze(0) : picked;
  }));
}

void binarizer(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  call.set_like_input(0, (x > call.attribute_number("threshold", 0)).to(x.scalar_type()));
}

void scaler(OpCall& call) {
  const at::Tensor x = call.tensor(0).to(at::kFloat);
  const auto list = [&](std::string_view name, const at::Tensor& otherwise) {
    return call.has_attribute(name) ? numbers(call, name).to(x.device()) : otherwise;
  };
  const at::Tensor zero = at::zeros({1}, x.options());
  call.set(0, (x - list("offset", zero)) * list("scale", zero + 1));
}

void normalizer(OpCall& call) {
  const at::Tensor x = call.tensor(0).to(at::kFloat);
  const std::string norm = call.attribute_text("norm", "MAX");
  const at::Tensor length = norm == "MAX" ? std::get<0>(x.max(-1, /*keepdim=*/true))
                                          : at::linalg_vector_norm(x, norm == "L1" ? 1 : 2, {-1}, /*keepdim=*/true);
  call.set(0, x / at::where(length == 0, at::Scalar(1.0), length));
}

void imputer(OpCall& call) {
  const at::Tensor& x = call.tensor(0);
  const bool floating = x.is_floating_point();
  const at::Tensor fill = (floating ? numbers(call, "imputed_value_floats")
                                    : integer_tensor(call.attribute_integers("imputed_value_int64s")))
                              .to(x.device(), x.scalar_type());
  const double gone = call.attribute_number("replaced_value_float", 0);
  const at::Tensor replaced = floating && std::isnan(gone) ? at::isnan(x)
                              : floating                   ? x == gone
                                                           : x == call.attribute("replaced_value_int64", 0);
  call.set_like_input(0, at::where(replaced, fill, x));
}

void feature_vectorizer(OpCall& call) {
  const std::vector<int64_t> widths = call.attribute_integers("inputdimensions");
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < call.input_count(); ++i) {
    at::Tensor part = call.tensor(i).to(at::kFloat);
    if (part.dim() == 1) part = part.unsqueeze(1);
    const int64_t width = i < widths.size() ? widths[i] : part.size(1);
    parts.push_back(at::constant_pad_nd(part, {0, width - part.size(1)}));
  }
  call.set(0, at::cat(parts, 1));
}

const RegisterOps entries{"ai.onnx.ml",
                          {
                              {.name = "LabelEncoder", .function = label_encoder, .gradient = Gradient::No},
                              {.name = "OneHotEncoder", .function = one_hot_encoder, .gradient = Gradient::No},
                              {.name = "ArrayFeatureExtractor", .function = array_feature_extractor, .gradient = Gradient::No},
                              {.name = "Binarizer", .function = binarizer, .gradient = Gradient::No},
                              {.name = "Scaler", .function = scaler},
                              {.name = "Normalizer", .function = normalizer},
                              {.name = "Imputer", .function = imputer},
                              {.name = "FeatureVectorizer", .function = feature_vectorizer},
                          }};

}  // namespace
}  // namespace sparsify

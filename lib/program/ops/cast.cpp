// Cast, CastLike and BitCast.
#include <fmt/core.h>

#include <algorithm>

#include "program/ops/conversion.h"

namespace sparsify {
namespace {

void cast_to(OpCall& call, DType type) {
  const ConversionOptions options{.saturate = call.attribute("saturate", 1) != 0,
                                  .round_mode = call.attribute_text("round_mode", "up")};
  call.set(0, converted(call.value(0), type, call.device(), options));
}

void cast(OpCall& call) {
  const bool by_name = call.opset() < 6;  // `to` was text: "FLOAT"
  cast_to(call, by_name ? dtype_named(call.attribute_text("to", "")) : static_cast<DType>(call.attribute("to", 0)));
}
void cast_like(OpCall& call) { cast_to(call, call.type(1)); }

/// The same bits read as another type of the same width.
void bit_cast(OpCall& call) {
  const auto type = static_cast<DType>(call.attribute("to", 0));
  const at::Tensor& x = call.tensor(0);
  if (bits_of(type) != bits_of(call.type(0))) {
    call.fail(fmt::format("the bits of {} cannot be read as {}: the widths differ", name_of(call.type(0)), name_of(type)),
              "use Cast, or a type of the same width");
  }
  const HostTensor from = to_host(call.value(0));
  HostTensor to(type, from.shape());
  std::copy(from.bytes().begin(), from.bytes().end(), to.mutable_bytes().begin());
  const Value result = from_host(to);
  call.set(0, Value(result.tensor().to(result.tensor().is_floating_point() ? call.device() : x.device()), type));
}

constexpr const char* kFloatOnly = "between floating-point types; integers, booleans and strings carry no gradient";

const RegisterOps entries{
    {.name = "Cast", .function = cast, .gradient = Gradient::Some, .notes = kFloatOnly},
    {.name = "CastLike", .function = cast_like, .gradient = Gradient::Some, .notes = kFloatOnly},
    {.name = "BitCast", .function = bit_cast, .gradient = Gradient::No},
};

}  // namespace
}  // namespace sparsify

#include "base/module.h"

namespace sparsify {
namespace {

[[maybe_unused]] const bool registered = register_module("torch");

}  // namespace
}  // namespace sparsify

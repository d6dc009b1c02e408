#include "runtimes/runtime.h"

#include "base/module.h"
#include "config/options.h"

namespace sparsify {

bool Session::replace_weight(int, const HostTensor&) { return false; }

std::unique_ptr<Runtime> make_runtime(const std::string& name) {
  if (!Registry<Runtime>::instance().contains(name)) load_module("torch");
  return Registry<Runtime>::instance().make(name, Options());
}

}  // namespace sparsify

#include "evidence/collector.h"

#include "base/module.h"
#include "config/options.h"

namespace sparsify {

std::unique_ptr<EvidenceCollector> make_evidence_collector() {
  if (Registry<EvidenceCollector>::instance().names().empty()) load_module("torch");
  return Registry<EvidenceCollector>::instance().make("libtorch", Options());
}

}  // namespace sparsify

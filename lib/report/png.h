#pragma once

#include <string>

#include "report/run_report.h"

namespace sparsify {

/// The picture as `data:image/png;base64,...`: sixteen steps of one colour on transparent ground, so that it fits a light
/// and a dark page. Opaque = all kept.
std::string png_data_uri(const MaskPicture& picture);

/// RFC 4648.
std::string base64(const std::string& bytes);

}  // namespace sparsify

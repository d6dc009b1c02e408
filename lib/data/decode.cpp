#include "data/decode.h"

#include <string_view>

#include "base/error.h"

namespace sparsify {

HostTensor decode_image(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xFF\xD8")) return decode_jpeg(bytes, where);
  if (text.starts_with("\x89PNG")) return decode_png(bytes, where);
  throw ResourceError{
      {.what = text.empty() ? "the file is empty" : "the file is neither JPEG nor PNG",
       .where = where,
       .fix = "remove it, or convert it"}};
}

}  // namespace sparsify

#include "report/png.h"

#include <zlib.h>

#include <vector>

#include "base/error.h"

namespace sparsify {
namespace {

void put_big_endian(std::string& out, uint32_t number) {
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(number >> shift & 0xFFU);
}

void put_chunk(std::string& out, const std::string& type, const std::string& body) {
  put_big_endian(out, static_cast<uint32_t>(body.size()));
  const std::string covered = type + body;
  out += covered;
  put_big_endian(out, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(covered.data()),
                                                  static_cast<uInt>(covered.size()))));
}

std::string deflated(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  const int status = compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                               reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9);
  invariant(status == Z_OK, "a buffer of compressBound bytes suffices");
  out.resize(size);
  return out;
}

constexpr uint8_t kInk[3] = {0x3B, 0x82, 0xF6};  // --kept of the page: readable on white and on near-black

}  // namespace

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = i; j < i + 3; ++j) {
      group = group << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0U);
    }
    const size_t given = std::min<size_t>(bytes.size() - i, 3);
    for (size_t digit = 0; digit < 4; ++digit) {
      out += digit <= given ? kDigits[group >> (18 - 6 * digit) & 63U] : '=';
    }
  }
  return out;
}

std::string png_data_uri(const MaskPicture& picture) {
  std::string header;
  put_big_endian(header, static_cast<uint32_t>(picture.columns));
  put_big_endian(header, static_cast<uint32_t>(picture.rows));
  header += {4, 3, 0, 0, 0};  // four bits a pixel, palette, deflate, standard filters, not interlaced

  std::string palette;
  std::string alpha;
  for (int step = 0; step < 16; ++step) {
    for (const uint8_t part : kInk) palette += static_cast<char>(part);
    alpha += static_cast<char>(step * 17);
  }

  std::string rows;
  for (int row = 0; row < picture.rows; ++row) {
    rows += '\0';  // filter: none
    const uint8_t* cells = picture.density.data() + static_cast<size_t>(row) * static_cast<size_t>(picture.columns);
    const auto step = [&](int column) {
      return column < picture.columns ? static_cast<unsigned>(cells[column] * 15 + 127) / 255 : 0U;
    };
    for (int column = 0; column < picture.columns; column += 2) {
      rows += static_cast<char>(step(column) << 4 | step(column + 1));
    }
  }

  std::string png = "\x89PNG\r\n\x1a\n";
  put_chunk(png, "IHDR", header);
  put_chunk(png, "PLTE", palette);
  put_chunk(png, "tRNS", alpha);
  put_chunk(png, "IDAT", deflated(rows));
  put_chunk(png, "IEND", "");
  return "data:image/png;base64," + base64(png);
}

}  // namespace sparsify

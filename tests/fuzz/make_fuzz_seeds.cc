// Writes starting points for the fuzz targets, so that they get behind magics and checksums at once:
//   make_fuzz_seeds DIR     makes DIR/fuzz_message, DIR/fuzz_frame, DIR/fuzz_batch, DIR/fuzz_inflate
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "model/batch_builder.h"
#include "model/compression.h"
#include "wire/debug/messages.h"
#include "wire/frame.h"

namespace {

using namespace mr;
using namespace mr::wire;

void put(const std::filesystem::path& dir, const std::string& name, std::string_view head, ByteView bytes) {
  std::filesystem::create_directories(dir);
  std::ofstream out(dir / name, std::ios::binary);
  out << head << as_text(bytes);
}

void messages(const std::filesystem::path& dir) {
  auto all = debug::all_messages();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const debug::Message& m = *all[i];
    for (Version v = m.min; v <= m.max; ++v) {
      Writer out;
      MR_CHECK(m.random(5, v, out).ok());
      std::string name = std::to_string(i) + "-" + std::to_string(v);
      char head[] = {static_cast<char>(i), static_cast<char>(v - m.min)};
      put(dir / "fuzz_message", name, {head, 2}, out.flat());
      const ApiInfo* api = find_api(m.key);
      if (m.kind != debug::Message::Kind::request || api == nullptr) continue;
      Writer frame;
      begin_request(frame, *api, v, 1, "fuzz");
      frame.raw(out.flat());
      put(dir / "fuzz_frame", name, "", frame.flat().subspan(kFrameSizeBytes));
    }
  }
}

void batches(const std::filesystem::path& dir) {
  for (int codec = 0; codec <= 4; ++codec) {
    BatchBuilder builder({.codec = static_cast<Codec>(codec)});
    std::string text = "repetitive repetitive repetitive text";
    RecordHeader headers[] = {{"key", as_bytes(text)}, {"none", std::nullopt}};
    for (int i = 0; i < 3; ++i)
      builder.add(
          {.timestamp = 1'700'000'000'000 + i, .key = as_bytes("k"), .value = as_bytes(text), .headers = headers});
    auto batch = builder.build();
    MR_CHECK(batch.ok());
    put(dir / "fuzz_batch", std::to_string(codec), "\1", *batch);
    char head = static_cast<char>(codec);
    put(dir / "fuzz_inflate", std::to_string(codec), {&head, 1}, ByteView(*batch).subspan(BatchHeader::kBytes));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_fuzz_seeds DIR\n";
    return 2;
  }
  messages(argv[1]);
  batches(argv[1]);
  return 0;
}

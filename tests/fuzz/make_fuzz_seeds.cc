// Writes starting points for the fuzz targets, so that they get behind magics and checksums at once:
//   make_fuzz_seeds DIR     makes DIR/fuzz_message, DIR/fuzz_frame, DIR/fuzz_batch, DIR/fuzz_inflate,
//                           DIR/fuzz_storage_files, DIR/fuzz_recovery, DIR/fuzz_http, DIR/fuzz_settings,
//                           DIR/fuzz_group_records, DIR/fuzz_cli
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "model/batch_builder.h"
#include "model/compression.h"
#include "storage/epoch_table.h"
#include "storage/partition_metadata.h"
#include "storage/producer_table.h"
#include "storage/segment_seal.h"
#include "storage/test_batches.h"
#include "storage/text_checkpoint.h"
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

using Bytes = std::vector<std::byte>;

void add(Bytes& out, ByteView more) { out.insert(out.end(), more.begin(), more.end()); }

/// What a small log leaves: six batches of two records under two leader epochs, and the files beside them.
struct SmallLog {
  Bytes batches, seal, snapshot;
  storage::EpochTable epochs;

  SmallLog() {
    storage::HeaderChain chain;
    storage::ProducerTable producers;
    for (int n = 0; n < 6; ++n) {
      Bytes batch = storage::test::make_batch(
          {.records = 2, .timestamp = 1'000 + n, .producer_id = 7, .producer_epoch = 0, .base_sequence = 2 * n});
      LeaderEpoch epoch{n < 3 ? 1 : 4};
      store_be(batch.data(), std::int64_t{2 * n});
      store_be(batch.data() + BatchHeader::kLeaderEpochAt, epoch.v);
      add(batches, batch);
      chain.add(ByteView(batch).first(BatchHeader::kBytes), batches.size());
      producers.note(storage::test::header_of(batch), 1'000);
      epochs.assign(epoch, Offset{2 * n});
    }
    seal = chain.seal(Offset{0}, Offset{12}).encode();
    snapshot = producers.encode_snapshot();
  }
};

void storage_files(const std::filesystem::path& dir) {
  SmallLog log;
  auto file = [&](const std::string& name, std::string_view head, ByteView bytes) {
    put(dir / "fuzz_storage_files", name, head, bytes);
  };
  std::string offsets = storage::encode_offset_checkpoint({{{"orders", PartitionIndex{1}}, Offset{42}}});
  std::string id = storage::encode_partition_metadata(TopicId{Uuid{1, 2}});
  std::string identity = "cluster.id=c\nnode.id=1\nversion=1\nmillrace.format.version=1\n";
  std::string epochs = log.epochs.encode();
  using std::string_view_literals::operator""sv;
  file("epochs", "\0"sv, as_bytes(epochs));
  file("offsets", "\0"sv, as_bytes(offsets));
  file("partition", "\0"sv, as_bytes(id));
  file("identity", "\1\0"sv, as_bytes(identity));
  file("clean", "\1\1"sv, as_bytes(R"({"version":0,"brokerEpoch":-1})"));
  file("recovery-points", "\1\2"sv, as_bytes(offsets));
  file("log-starts", "\1\3"sv, as_bytes(offsets));
  file("snapshot", "\2"sv, log.snapshot);
  file("indexes", "\3"sv, Bytes(96));
  file("seal", "\4"sv, log.seal);
  file("shown-snapshot", "\5\2"sv, log.snapshot);
}

/// As fuzz_recovery lays it out: flags, lengths, pieces, segment.
void recovery(const std::filesystem::path& dir) {
  SmallLog log;
  auto directory = [&](const std::string& name, int flags, ByteView side) {
    Bytes out{static_cast<std::byte>(flags),
              static_cast<std::byte>(flags >> 8),
              std::byte{0},
              std::byte{0},
              static_cast<std::byte>(side.size()),
              std::byte{0},
              std::byte{12}};
    add(out, side);
    add(out, log.batches);
    put(dir / "fuzz_recovery", name, "", out);
  };
  std::string epochs = log.epochs.encode();
  directory("crashed", 2, {});
  directory("stopped", 1 | 2, {});
  directory("snapshot", 2 | 16, log.snapshot);
  directory("seal", 2 | 128, log.seal);
  directory("epochs", 2 | 256, as_bytes(epochs));
}

/// What is text, and what is short enough to be written down here. The first byte is the target's own.
void texts(const std::filesystem::path& dir) {
  using std::string_view_literals::operator""sv;
  int number = 0;
  auto seed = [&](const char* target, std::string_view bytes) {
    put(dir / target, "text" + std::to_string(number++), "", as_bytes(bytes));
  };
  seed("fuzz_http", "\5GET /topics/a%20b?x=1&y=+ HTTP/1.1\r\nHost: h\r\n\r\n");
  seed("fuzz_http", "\7POST /topics HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}");
  seed("fuzz_http", "\1POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  seed("fuzz_settings",
       "\0listeners=PLAINTEXT://:9092\nlog.retention.hours = 5\n# no\nlog.dirs=a,\\\n b\nmemory=1GiB\n"sv);
  seed("fuzz_settings", "\2\1\1\0\0\6delete\0\1\2\7compact"sv);
  seed("fuzz_settings", "\3max.connections=10");
  seed("fuzz_settings", "\4\20PLAINTEXT://h:92A://[::1]:5");
  for (char option = 0; option < 40; ++option) seed("fuzz_settings", std::string{1, option, '-', '1'});
  seed("fuzz_group_records", "\0\0\1\0\1g\0\1t\0\0\0\1"sv);
  seed("fuzz_group_records", "\0\0\2\0\1g"sv);
  seed("fuzz_group_records", "\1\0\3\0\0\0\0\0\0\0\5\0\0\0\0\0\1m\0\0\0\0\0\0\0\11"sv);
  seed("fuzz_group_records",
       "\2\0\3\0\10consumer\0\0\0\1\0\5range\0\1m\0\0\0\0\0\0\0\7\0\0\0\1\0\1m\377\377\0\1c\0\1h\0\0\0\1\0\0\0\2"
       "\0\0\0\14\0\0\0\0\0\1\0\1t\0\0\0\0\0\0\0"sv);
  seed("fuzz_group_records", "\3\0\0\0\0\0\1\0\1t\377\377\377\377"sv);
  seed("fuzz_cli", "\0{\"a\":[1,2.5,null,true,\"x\\u00e9\"]}"sv);
  seed("fuzz_cli",
       R"({"key":"k","value_base64":"AAE=","headers":[{"name":"h","value":null}],"partition":1,"timestamp":5})");
  seed("fuzz_cli", "\2%k %s %o\\n%h");
  seed("fuzz_cli", "\3-1h30m");
  seed("fuzz_cli", "\4topic,partition,offset\nt,0,5\n");
  seed("fuzz_cli", "\5header.h!~x");
  seed("fuzz_cli", "\6HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab");
  seed("fuzz_cli", "\7password=hunter2 http://u:p@h/");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_fuzz_seeds DIR\n";
    return 2;
  }
  messages(argv[1]);
  batches(argv[1]);
  storage_files(argv[1]);
  recovery(argv[1]);
  texts(argv[1]);
  return 0;
}

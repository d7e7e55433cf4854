// Aim: what one batch costs in instructions from the bytes of a Produce request to the page cache: decode, validate,
// append. Method: valgrind --tool=callgrind --toggle-collect='gate_step*' counts inside one function; files are real
// ones, on tmpfs; system calls are not instructions. Repeatable to a few per thousand.
#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "base/log.h"
#include "bench/kload/frames.h"
#include "model/validate_batch.h"
#include "runtime/real_host.h"
#include "storage/log.h"
#include "wire/api/produce.h"
#include "wire/frame.h"

namespace mr {

/// Everything between the frame and the log, once. Not inlined: callgrind switches on its name.
extern "C" __attribute__((noinline)) void gate_step(storage::Log& log, MutableBytes frame, wire::Arena& arena) {
  arena.reset();
  auto request = wire::parse_request(frame);
  MR_CHECK(request.ok());
  auto produce = wire::decode_body<wire::produce::Request>(request->body, request->version, arena);
  MR_CHECK(produce.ok());
  ByteView records = produce->topic_data[0].partition_data[0].records.inline_bytes;
  auto facts = validate_batch(records, BatchRules{});
  MR_CHECK(facts.has_value());
  MutableBytes batch(frame.data() + (records.data() - frame.data()), records.size());
  auto verdict = log.check_sequence(facts->header);
  MR_CHECK(verdict.ok());
  auto appended = log.append(batch, facts->header, facts->max_timestamp, LeaderEpoch{0}, 1'700'000'000'000);
  MR_CHECK(appended.ok());
}

}  // namespace mr

/// usage: gate_instructions DIRECTORY RECORD_BYTES BATCHES
int main(int argc, char** argv) {
  using namespace mr;
  MR_CHECK(argc == 4);
  set_log_level(LogLevel::error);
  bench::Options options;
  options.record_bytes = static_cast<std::uint32_t>(std::atoi(argv[2]));
  bench::ProduceFrame parts = bench::produce_frame(options, 0, bench::build_batch(options));
  bench::Bytes whole = parts.head;
  whole.insert(whole.end(), parts.body.begin(), parts.body.end());
  bench::Bytes request(whole.begin() + 4, whole.end());

  storage::Log::OpenOptions open;
  open.directory = std::string(argv[1]) + "/gate-0";
  open.partition = {"gate", PartitionIndex{0}};
  open.topic_id = TopicId{Uuid{1, 2}};
  auto log = storage::Log::open(real_files(), std::move(open));
  MR_CHECK(log.ok());
  wire::Arena arena;
  for (int i = std::atoi(argv[3]); i > 0; --i) {
    bench::Bytes frame = request;  // append patches the batch in place
    gate_step(**log, frame, arena);
  }
  return 0;
}

#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/bare/files.h"
#include "bench/bare/syncer.h"
#include "bench/kload/fields.h"

namespace mr::bench {

/// The least that can answer kload's produce requests: one thread that receives into recycled buffers, checks
/// checksums, appends and answers. Topics are synced before the answer unless created with flush.messages. Speaks
/// Produce 9, CreateTopics 4, DeleteTopics 3 and Metadata 1; anything else ends the program.
class BareServer {
 public:
  /// Listens on loopback, any port.
  explicit BareServer(std::string directory);

  std::uint16_t port() const { return port_; }
  /// Never returns.
  void run();

 private:
  struct Connection {
    int fd = -1;
    Bytes in;
    std::size_t begin = 0, end = 0;  ///< of what was received and not handled
    Bytes out;
  };
  using ConnectionPtr = std::shared_ptr<Connection>;
  struct Answer {
    ConnectionPtr to;
    Bytes frame;
  };

  void accept_one();
  void receive(const ConnectionPtr& c);
  void handle(const ConnectionPtr& c, MutableBytes request);
  void produce(const ConnectionPtr& c, std::int32_t id, Cursor body);
  Bytes create(std::int32_t id, Cursor body);
  Bytes remove(std::int32_t id, Cursor body);
  Bytes metadata(std::int32_t id, Cursor body) const;
  void write_taken();
  void start_sync();
  void synced();
  static void send_answers(Connection& c);

  std::string directory_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int epoll_ = -1;
  std::map<int, ConnectionPtr> connections_;
  Topics topics_;
  std::vector<PartitionFile*> taken_;  ///< with batches that are not yet written
  std::vector<int> dirty_;             ///< written since the sync under way began
  std::vector<Answer> waiting_;        ///< for the sync after that
  std::vector<Answer> syncing_;
  std::vector<ConnectionPtr> waiting_to_send_;
  bool sync_runs_ = false;
  Syncer syncer_;
};

}  // namespace mr::bench

#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/broker_node.h"
#include "tests/simulation/broker_sim.h"
#include "tests/simulation/consumer.h"
#include "tests/simulation/producer.h"
#include "tests/simulation/purger.h"
#include "tests/simulation/tinkerer.h"
#include "tests/simulation/topic_churn.h"
#include "tests/simulation/vandal.h"

namespace mr::sim {

/// One seed of the broker simulation: the broker, its clients, what happens to them, and the last look. The life of a
/// history is in broker_sim.cc, what can go wrong in misfortunes.cc.
class History {
 public:
  explicit History(const BrokerSimOptions& options);
  BrokerSimResult run();

 private:
  using Misfortune = void (History::*)();

  BrokerNodeOptions node_options();
  bool fine() const { return stage_.ledger.ok(); }
  void lie(DiskOp op, std::string where);
  void note(const std::string& what);

  /// Time passes; a broker that refuses to start is noticed.
  void let(Duration time);
  /// Until `what` holds or the limit is over; brings whether it holds.
  bool wait(const std::function<bool()>& what, Duration limit);
  bool ended_badly();
  /// What must hold inside the broker between any two steps.
  void look_inside();
  void check_run(RunEnd end);
  bool start_failed() const;
  /// A lost answer of the metastore may end a start; the next one must get further.
  bool refused_for_now() const { return node_.failure().starts_with("unknown_outcome"); }

  ClientSeat seat(const std::string& name);
  template <class Actor, class... Args>
  Actor& set_out(std::vector<std::unique_ptr<Actor>>& actors, const std::string& name, Args&&... args) {
    actors.push_back(std::make_unique<Actor>(seat(name), std::forward<Args>(args)...));
    client_processes_.back()->spawn(ShardId{0}, "client", actors.back()->run());
    return *actors.back();
  }
  Codec some_codec(const std::string& topic);
  void draw_compression(NewTopic& topic, std::uint64_t number);
  void set_out_clients();
  /// A topic whose oldest records go all the time.
  void set_out_retention(const ClientSeat& admin, Process& process);
  /// In a third of the seeds a topic whose records are deleted on request.
  void set_out_purger(const ClientSeat& admin, Process& process);
  /// In a third of the seeds a topic whose settings change and whose partitions become more.
  void set_out_tinkerer(const ClientSeat& admin, Process& process);
  bool make(const ClientSeat& admin, Process& process, NewTopic topic);

  void start_again();
  void crash_and_start(CrashMode mode, bool disk_is_cut);
  void stop_cleanly();
  CrashMode some_mode();

  // misfortunes.cc. Each leaves a broker that runs, unless something is wrong.
  void misfortune();
  Misfortune favourite() const;
  void crash();
  void power_cut();
  void clean_restart();
  void killed_then_cut();
  void connections_reset();
  void accepts_fail();
  void cut_wires();
  void jump_clock();
  void full_disk();
  void restart_on_full_disk();
  void no_descriptors();
  void slow_disk();
  void hung_disk();
  void stutter();
  void failed_call();
  void failed_sync();
  void faults_while_starting();
  void short_reads();
  void failed_directory();
  void drop_failures();
  void rot();
  void flipped_bits();
  struct Place {
    std::string path;
    std::uint64_t position = 0;
    unsigned bit = 0;
  };
  /// Of the logs that nothing is deleted from; empty when they have no bytes yet.
  std::optional<Place> some_log_byte();
  std::optional<std::byte> byte_at(const Place& place);

  void make_peace();
  bool consumers_caught_up() const;
  /// Everything ever promised must be there after one more power cut, read by somebody new.
  void last_look();
  std::string describe_clients() const;
  /// Everybody goes home, whatever happened before.
  void end();
  BrokerSimResult result();

  BrokerSimOptions options_;
  World world_;
  Random rng_;
  Stage stage_;
  Host& host_;
  BrokerNode node_;
  std::vector<Process*> client_processes_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  std::vector<std::unique_ptr<TopicChurn>> churns_;
  std::vector<std::unique_ptr<Vandal>> vandals_;
  std::vector<std::unique_ptr<Purger>> purgers_;
  std::vector<std::unique_ptr<Tinkerer>> tinkerers_;  ///< none or one
  Process* tinkerers_process_ = nullptr;
  static constexpr const char* kSecondDirectory = "/data2";
  bool directory_failed_ = false;
  bool start_may_fail_ = false;
  std::uint64_t asked_ = 0;
};

}  // namespace mr::sim

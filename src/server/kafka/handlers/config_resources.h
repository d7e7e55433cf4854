#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/alter_config.h"
#include "server/kafka/handlers/handlers.h"

namespace mr::server::kafka {

/// What settings belong to (traps.md 43). The numbers are the protocol's.
enum class ConfigResource : std::int8_t { topic = 2, broker = 4, broker_logger = 8, client_metrics = 16, group = 32 };

/// An answer to one resource of AlterConfigs or IncrementalAlterConfigs.
struct AlterOutcome {
  KafkaError code = KafkaError::none;
  std::string message;
};

/// Changes one resource's settings. `type` is what the client sent.
Task<AlterOutcome> alter_resource(Exchange& x, std::int8_t type, std::string name, config::ConfigAlteration alteration,
                                  bool validate_only);

/// What is wrong with the name of a broker resource that shall be this broker.
std::optional<std::string> check_broker_name(const Exchange& x, std::string_view name);

/// The broker's own logger, "root", is the only one: `log.level`, changed until the next stop.
inline constexpr std::string_view kRootLogger = "root";
std::string_view root_logger_level();

/// The whole request: `alteration_of(resource)` brings what shall be done to it. Resources that stand there twice are
/// refused, both.
template <class Response, class Request, class AlterationOf>
Task<Result<void>> alter_resources(Exchange& x, const Request& request, AlterationOf alteration_of) {
  Response response;
  std::unordered_map<std::string, int> times;
  auto key = [](const auto& asked) { return std::to_string(asked.resource_type) + std::string(asked.resource_name); };
  for (const auto& asked : request.resources) ++times[key(asked)];
  auto& answers = response.responses;
  answers = x.arena.list<std::remove_cvref_t<decltype(answers[0])>>(request.resources.size());
  for (std::size_t r = 0; r < request.resources.size(); ++r) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const auto& asked = request.resources[r];
    AlterOutcome outcome;
    if (times[key(asked)] > 1) {
      outcome = {KafkaError::invalid_request, "Each resource must appear at most once."};
    } else if (auto alteration = alteration_of(asked); !alteration.ok()) {
      outcome = {kafka_error(alteration.error()), alteration.error().detail()};
    } else {
      outcome = co_await alter_resource(x, asked.resource_type, std::string(asked.resource_name),
                                        std::move(*alteration), request.validate_only);
    }
    answers[r].error_code = outcome.code;
    answers[r].error_message.reset();
    if (outcome.code != KafkaError::none) answers[r].error_message = x.arena.copy(outcome.message);
    answers[r].resource_type = asked.resource_type;
    answers[r].resource_name = asked.resource_name;
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka

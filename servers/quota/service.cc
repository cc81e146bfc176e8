// Handlers of the messages of quotas: unpack, call, answer.
#include "quota/service.hpp"

#include "metadata/answer.hpp"

namespace benchfs {

void QuotaService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Quota>(*this, &QuotaService::quota);
  dispatcher.add<wire::QuotaShare>(*this, &QuotaService::share);
  dispatcher.add<wire::QuotaRecall>(*this, &QuotaService::recall);
}

Task<void> QuotaService::quota(Incoming incoming) {
  auto task = authority_.quota(incoming.body<wire::Quota>());
  const auto result = co_await task;
  co_await answer<wire::Quota>(incoming, result);
}

Task<void> QuotaService::share(Incoming incoming) {
  auto task = authority_.share(incoming.body<wire::QuotaShare>());
  const auto result = co_await task;
  co_await answer<wire::QuotaShare>(incoming, result);
}

Task<void> QuotaService::recall(Incoming incoming) {
  auto task = shares_.recall(incoming.body<wire::QuotaRecall>());
  const auto result = co_await task;
  co_await answer<wire::QuotaRecall>(incoming, result);
}

}  // namespace benchfs

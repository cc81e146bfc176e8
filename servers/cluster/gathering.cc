// Join requests come again every half second at least, so that a guest that has fallen silent is
// gone.
#include "cluster/gathering.hpp"

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kSilentMs = 3'000;
constexpr std::int64_t kLookEveryMs = 100;  // not for each of a thousand requests a second
constexpr std::size_t kNamesMax = 32;

}  // namespace

Gathering::Gathering(ServerRecord self, std::uint32_t expected)
    : self_(std::move(self)), expected_(expected) {}

void Gathering::forget_silent() {
  const std::int64_t now = now_ms();
  if (now - looked_ms_ < kLookEveryMs) return;
  looked_ms_ = now;
  std::erase_if(guests_,
                [&](const auto& guest) { return now - guest.second.heard_ms > kSilentMs; });
}

Explained<std::string> Gathering::join(std::string_view payload) {
  auto decoded = decode_record(payload, "the record that came with join");
  if (!decoded) return explain(Errc::bad_message, decoded.error());
  const ServerRecord& record = *decoded;
  untold_.erase(record.instance);
  if (!failure_.empty()) return explain(Errc::canceled, failure_);
  if (!cluster_text_.empty()) {
    if (members_.contains(record.instance)) return cluster_text_;
    return explain(Errc::exists, formed_why_);
  }
  forget_silent();
  const auto taken = guests_.find(record.id);
  const ServerRecord* holder = record.id == self_.id ? &self_ : nullptr;
  if (taken != guests_.end()) holder = &taken->second.record;
  if (holder != nullptr && holder->instance != record.instance) {
    return explain(Errc::exists,
                   fmt::format("{} has come before with the same id as {}; two servers"
                               " cannot have one id",
                               describe(*holder), describe(record)));
  }
  guests_[record.id] = Guest{record, now_ms()};
  return explain(Errc::busy, roll_call());
}

std::vector<ServerRecord> Gathering::present() {
  forget_silent();
  std::vector<ServerRecord> records;
  bool placed = false;
  for (const auto& [id, guest] : guests_) {
    if (!placed && self_.id < id) {
      records.push_back(self_);
      placed = true;
    }
    records.push_back(guest.record);
  }
  if (!placed) records.push_back(self_);
  return records;
}

std::string Gathering::roll_call() {
  forget_silent();
  std::string text;
  std::size_t named = 0;
  const auto name = [&](const std::string& id) {
    if (named < kNamesMax) text += (named++ > 0 ? ", " : "") + id;
  };
  // As present() has it, but without its copies: every guest that asks gets this text.
  const auto behind_self = guests_.upper_bound(self_.id);
  for (auto guest = guests_.begin(); guest != behind_self && named < kNamesMax; ++guest)
    name(guest->first);
  name(self_.id);
  for (auto guest = behind_self; guest != guests_.end() && named < kNamesMax; ++guest)
    name(guest->first);
  const std::size_t here = guests_.size() + 1;
  if (here > named) text += fmt::format(" and {} more", here - named);
  return fmt::format("{} of {} expected servers are here ({})", here, expected_, text);
}

void Gathering::finish(const ClusterInfo& cluster, std::string text) {
  for (const ServerRecord& server : cluster.servers) {
    members_.insert(server.instance);
    if (server.instance != self_.instance) untold_.insert(server.instance);
  }
  formed_why_ = fmt::format(
      "cluster {} of {} servers is complete since {}; stop it before starting"
      " other servers here",
      to_hex(cluster.cluster_id), cluster.servers.size(), format_wall_time(cluster.created_ns));
  cluster_text_ = std::move(text);
}

void Gathering::give_up(std::string why) {
  untold_.clear();
  for (const auto& [id, guest] : guests_) untold_.insert(guest.record.instance);
  failure_ = std::move(why);
}

}  // namespace benchfs

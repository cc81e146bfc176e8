// The list of addresses. A server finds its own entry by asking the addresses which process is
// there, so that names, aliases and any spelling of an address will do.
#include "cluster/static_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "net/liveness.hpp"

namespace benchfs {
namespace {

std::string_view short_name(std::string_view host) {
  return host.substr(0, host.find('.'));
}

ServerRecord place(const HostPort& address, std::uint64_t instance) {
  ServerRecord record;
  record.bootstrap_host = address.host;
  record.bootstrap_port = address.port;
  record.instance = instance;
  return record;
}

}  // namespace

StaticList::StaticList(Loop& loop, std::vector<std::string> servers, ServerRecord self,
                       std::int64_t probe_ms)
    : loop_(loop), servers_(std::move(servers)), self_(std::move(self)), probe_ms_(probe_ms) {}

Task<Explained<void>> StaticList::enter() {
  addresses_.clear();
  for (const std::string& entry : servers_) {
    const auto address = parse_host_port(entry);
    if (!address || address->port == 0)
      co_return explain(Errc::invalid, fmt::format("servers: \"{}\" is not host:port", entry));
    if (std::find(addresses_.begin(), addresses_.end(), *address) != addresses_.end())
      co_return explain(Errc::invalid, fmt::format("servers: {} is named twice", entry));
    addresses_.push_back(*address);
  }
  // The likely entries first: with a thousand servers, nobody should have to ask all of them.
  for (const bool likely : {true, false}) {
    std::vector<std::size_t> indexes;
    std::vector<ServerRecord> places;
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
      const HostPort& address = addresses_[i];
      const bool plausible = address.host == self_.bootstrap_host ||
                             short_name(address.host) == short_name(self_.host);
      if (address.port != self_.bootstrap_port || plausible != likely) continue;
      indexes.push_back(i);
      places.push_back(place(address, self_.instance));
    }
    const std::vector<Sighting> sightings = co_await look_for_all(loop_, places, probe_ms_);
    for (std::size_t i = 0; i < indexes.size(); ++i) {
      if (sightings[i].liveness != Liveness::alive) continue;
      own_index_ = indexes[i];
      co_return Explained<void>{};
    }
  }
  std::string list;
  for (const std::string& entry : servers_) list += (list.empty() ? "" : ", ") + entry;
  co_return explain(
      Errc::invalid,
      fmt::format("servers: none of {} leads to this server, which listens on {}; set"
                  " `listen` to this server's own entry",
                  list, format_host_port({self_.bootstrap_host, self_.bootstrap_port})));
}

Task<Explained<std::optional<Meeting::Where>>> StaticList::coordinator() {
  if (own_index_ == 0) co_return std::optional<Where>();
  Where where;
  where.host = addresses_[0].host;
  where.port = addresses_[0].port;
  where.name = servers_[0];
  co_return std::optional<Where>(std::move(where));
}

Task<Explained<void>> StaticList::check_free() {
  std::vector<ServerRecord> places;
  for (const HostPort& address : addresses_) places.push_back(place(address, 0));
  const std::vector<Sighting> sightings = co_await look_for_all(loop_, places, probe_ms_);
  for (std::size_t i = 0; i < sightings.size(); ++i) {
    if (i == own_index_ || sightings[i].cluster_id == 0) continue;
    const bool going = sightings[i].liveness == Liveness::draining;
    co_return explain(
        going ? Errc::busy : Errc::exists,
        fmt::format("{} still serves cluster {}{}", servers_[i], to_hex(sightings[i].cluster_id),
                    going ? ", but is shutting down" : "; stop it first"));
  }
  co_return Explained<void>{};
}

Task<Explained<void>> StaticList::publish(const ClusterInfo&, const std::string&) {
  co_return Explained<void>{};  // clients ask the servers themselves
}

}  // namespace benchfs

// Path resolution: directories, "..", symbolic links. One look-up for every name but the last that
// is not cached as a directory's; the last one the operation itself gives to the server of the
// entry.
#include <sys/stat.h>

#include "base/path.hpp"
#include "client/call_entry.hpp"
#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

constexpr unsigned kLinksMax = 40;  // as Linux has it

}  // namespace

void Client::Walk::start(std::string_view path) {
  above.clear();
  above.reserve(8);  // deeper paths are rare
  above.push_back(kRootInode);
  rest = path;
  name = {};
  links = 0;
}

Task<Result<Answer<wire::Lookup>>> Client::look_up(InodeId parent, std::string_view name) {
  const ServerIndex server = map().owner(entry_slot(parent, name));
  const wire::Lookup::Request request{parent};
  return call_entry<wire::Lookup>(server, request, name);
}

Task<Status> Client::walk_to_last(Walk* walk) {
  walk->name = {};
  while (!walk->rest.empty()) {
    const std::string_view name = take_name(walk->rest);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (walk->above.size() > 1) walk->above.pop_back();
      continue;
    }
    if (name.size() > kNameBytesMax) co_return fail(Errc::name_too_long);
    if (walk->rest.empty()) {
      walk->name = name;
      co_return Status{};
    }
    if (!walk->use->fresh) {
      const auto cached = cache_->find(walk->parent(), name);
      if (cached && S_ISDIR(cached->type)) {
        walk->use->cached = true;
        walk->above.push_back(cached->inode);
        continue;
      }
    }
    const EntryCache::Ticket ticket = cache_->ticket();
    BFS_CO_TRY(found, co_await look_up(walk->parent(), name));
    if (S_ISDIR(found.body.type)) {
      cache_->put(ticket, walk->parent(), name, {found.body.inode, S_IFDIR});
      walk->above.push_back(found.body.inode);
    } else if (S_ISLNK(found.body.type)) {
      BFS_CO_CHECK(followed, co_await follow(walk, found.body.inode));
    } else {
      co_return fail(Errc::not_directory, 0, map().owner(entry_slot(walk->parent(), name)));
    }
  }
  co_return Status{};
}

Task<Status> Client::follow(Walk* walk, InodeId link) {
  if (++walk->links > kLinksMax) co_return fail(Errc::loop);
  BFS_CO_TRY(target, co_await target_of(link));
  if (target.front() == '/') walk->above.resize(1);
  target += '/';
  target += walk->rest;
  walk->followed = std::move(target);
  walk->rest = walk->followed;
  co_return Status{};
}

Task<Result<std::string>> Client::target_of(InodeId link) {
  std::string target(kTargetBytesMax, '\0');
  const ServerIndex home = map().home(link);
  const wire::ReadLink::Request request{link};
  const auto into = std::as_writable_bytes(std::span{target.data(), target.size()});
  BFS_CO_TRY(answer, co_await caller_->call<wire::ReadLink>(home, request, {}, into));
  if (answer.body.bytes != answer.payload_bytes || answer.payload_bytes == 0) {
    co_return fail(Errc::bad_message, 0, home);
  }
  target.resize(answer.payload_bytes);
  co_return target;
}

}  // namespace benchfs

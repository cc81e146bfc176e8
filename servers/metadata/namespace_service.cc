// Handlers of the namespace messages: unpack, call, answer. A name stays in the message until then.
#include "metadata/namespace_service.hpp"

#include <array>
#include <cstring>

#include "metadata/answer.hpp"

namespace benchfs {
namespace {

Namespace::Owner owner_of(const Incoming& incoming) {
  const Session& session = incoming.session();
  return {session.uid, session.gid, session.id};
}

}  // namespace

void NamespaceService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Lookup>(*this, &NamespaceService::lookup);
  dispatcher.add<wire::Open>(*this, &NamespaceService::open);
  dispatcher.add<wire::Mkdir>(*this, &NamespaceService::mkdir);
  dispatcher.add<wire::Unlink>(*this, &NamespaceService::unlink);
  dispatcher.add<wire::ReadDirectory>(*this, &NamespaceService::read_directory);
  dispatcher.add<wire::Rmdir>(*this, &NamespaceService::rmdir);
  dispatcher.add<wire::Symlink>(*this, &NamespaceService::symlink);
  dispatcher.add<wire::SetAttributes>(*this, &NamespaceService::set_attributes);
  dispatcher.add<wire::ReadLink>(*this, &NamespaceService::read_link);
  dispatcher.add<wire::MarkDirectory>(*this, &NamespaceService::mark_directory);
  dispatcher.add<wire::GetAttributes>(*this, &NamespaceService::get_attributes);
  dispatcher.add<wire::SetSize>(*this, &NamespaceService::set_size);
  dispatcher.add<wire::Append>(*this, &NamespaceService::append);
  dispatcher.add<wire::MarkSpread>(*this, &NamespaceService::mark_spread);
  dispatcher.add<wire::Hold>(*this, &NamespaceService::hold);
  dispatcher.add<wire::Release>(*this, &NamespaceService::release);
  dispatcher.on_session_end([this](std::uint64_t session) { names_.end_session(session); });
}

Task<void> NamespaceService::lookup(Incoming incoming) {
  const auto request = incoming.body<wire::Lookup>();
  auto task = names_.lookup(request.parent, incoming.name());
  const auto result = co_await task;
  co_await answer<wire::Lookup>(incoming, result);
}

Task<void> NamespaceService::open(Incoming incoming) {
  const auto request = incoming.body<wire::Open>();
  auto task = names_.open(request, incoming.name(), owner_of(incoming));
  const auto result = co_await task;
  // If it has ended meanwhile, that was before the file was open.
  if (incoming.session().failed) names_.end_session(incoming.session().id);
  co_await answer<wire::Open>(incoming, result);
}

Task<void> NamespaceService::hold(Incoming incoming) {
  const auto request = incoming.body<wire::Hold>();
  if ((request.flags & ~wire::Hold::kAgain) != 0) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  auto task = names_.hold(request.inode, request.flags != 0, incoming.session().id);
  const auto result = co_await task;
  if (incoming.session().failed) names_.end_session(incoming.session().id);
  co_await answer<wire::Hold>(incoming, result);
}

Task<void> NamespaceService::release(Incoming incoming) {
  const auto request = incoming.body<wire::Release>();
  const std::size_t bytes = incoming.payload_bytes();
  if (request.inodes == 0 || bytes != request.inodes * sizeof(InodeId)) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  std::array<InodeId, wire::Release::kInodesMax> inodes;
  std::memcpy(inodes.data(), incoming.payload().data(), bytes);
  const std::span<const InodeId> closed(inodes.data(), request.inodes);
  auto task = names_.release(incoming.session().id, closed);
  const auto result = co_await task;
  co_await answer_empty<wire::Release>(incoming, result);
}

Task<void> NamespaceService::mkdir(Incoming incoming) {
  const auto request = incoming.body<wire::Mkdir>();
  auto task = names_.make_directory(request, incoming.name(), owner_of(incoming));
  const auto result = co_await task;
  co_await answer<wire::Mkdir>(incoming, result);
}

Task<void> NamespaceService::unlink(Incoming incoming) {
  const auto request = incoming.body<wire::Unlink>();
  auto task = names_.unlink(request.parent, incoming.name());
  const auto result = co_await task;
  co_await answer_empty<wire::Unlink>(incoming, result);
}

Task<void> NamespaceService::read_directory(Incoming incoming) {
  const auto request = incoming.body<wire::ReadDirectory>();
  auto task = names_.read_directory(request, incoming.name());
  const auto page = co_await task;
  if (page) {
    const std::span<const std::byte> entries(page->entries);
    co_await incoming.reply<wire::ReadDirectory>(page->reply, entries);
  } else {
    co_await incoming.fail(page.error().code);
  }
}

Task<void> NamespaceService::rmdir(Incoming incoming) {
  const auto request = incoming.body<wire::Rmdir>();
  auto task = names_.remove_directory(request.parent, incoming.name());
  const auto result = co_await task;
  co_await answer_empty<wire::Rmdir>(incoming, result);
}

Task<void> NamespaceService::symlink(Incoming incoming) {
  const auto request = incoming.body<wire::Symlink>();
  auto task = names_.make_link(request, incoming.name(), owner_of(incoming));
  const auto result = co_await task;
  co_await answer<wire::Symlink>(incoming, result);
}

Task<void> NamespaceService::set_attributes(Incoming incoming) {
  const auto request = incoming.body<wire::SetAttributes>();
  auto task = names_.set_attributes(request, owner_of(incoming));
  const auto result = co_await task;
  co_await answer<wire::SetAttributes>(incoming, result);
}

Task<void> NamespaceService::read_link(Incoming incoming) {
  const auto request = incoming.body<wire::ReadLink>();
  auto task = names_.read_link(request.inode);
  const auto target = co_await task;
  if (target) {
    const wire::ReadLink::Reply reply{static_cast<std::uint32_t>(target->size()), 0};
    const auto bytes = std::as_bytes(std::span{target->data(), target->size()});
    co_await incoming.reply<wire::ReadLink>(reply, bytes);
  } else {
    co_await incoming.fail(target.error().code);
  }
}

Task<void> NamespaceService::mark_directory(Incoming incoming) {
  const auto request = incoming.body<wire::MarkDirectory>();
  auto task = removals_.mark(request.inode, request.token, request.operation);
  const auto result = co_await task;
  co_await answer_empty<wire::MarkDirectory>(incoming, result);
}

Task<void> NamespaceService::get_attributes(Incoming incoming) {
  const auto request = incoming.body<wire::GetAttributes>();
  auto task = names_.attributes(request.inode);
  const auto result = co_await task;
  co_await answer<wire::GetAttributes>(incoming, result);
}

Task<void> NamespaceService::set_size(Incoming incoming) {
  const auto request = incoming.body<wire::SetSize>();
  auto task = names_.set_size(request);
  const auto result = co_await task;
  co_await answer<wire::SetSize>(incoming, result);
}

Task<void> NamespaceService::append(Incoming incoming) {
  const auto request = incoming.body<wire::Append>();
  auto task = names_.append_to(request);
  const auto result = co_await task;
  co_await answer<wire::Append>(incoming, result);
}

Task<void> NamespaceService::mark_spread(Incoming incoming) {
  const auto request = incoming.body<wire::MarkSpread>();
  auto task = names_.mark_spread(request.inode);
  const auto result = co_await task;
  co_await answer_empty<wire::MarkSpread>(incoming, result);
}

}  // namespace benchfs

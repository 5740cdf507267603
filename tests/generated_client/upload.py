"""A whole upload and its download with the generated client, from the keys of an account to the bytes of the file.

python upload.py URL AGENT_KEY USER_KEY PROJECT_ID
"""

import hashlib
import sys
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from generated_client.api.account import account_exchange_keys
from generated_client.api.blob import blob_download, blob_store_chunk
from generated_client.api.file import file_create, file_show_url
from generated_client.api.upload import upload_complete, upload_initiate, upload_list, upload_report_chunk, upload_show
from generated_client.models import (
    ChunkReport,
    Completion,
    ContainerReference,
    Digest,
    ErrorSchema,
    FlatStatusSchema,
    KeyPair,
    NewFile,
    NewUpload,
    Reference,
    StatesSchema,
    TokenSchema,
)
from generated_client.types import File

from generated_client import AuthenticatedClient, Client

CHUNKS = (b"0123", b"4567", b"89ab", b"cde")
CONTENT = b"".join(CHUNKS)


def digest_of(content: bytes) -> Digest:
    return Digest(value=hashlib.md5(content).hexdigest(), algorithm="md5")


def signed(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def send(client: AuthenticatedClient, project_id: str) -> str:
    fields = NewUpload(name="a.bin", content_type="text/plain", size=len(CONTENT))
    upload_id = upload_initiate.sync(project_id, client=client, body=fields).id
    for number, chunk in enumerate(CHUNKS, 1):
        report = ChunkReport(number=number, size=len(chunk), hash_=digest_of(chunk))
        target = upload_report_chunk.sync(upload_id, client=client, body=report)
        sent = blob_store_chunk.sync_detailed(
            upload_id, number, client=client, body=File(BytesIO(chunk)), **signed(target.url)
        )
        assert sent.status_code == 201, sent.content
    upload_complete.sync(upload_id, client=client, body=Completion(hash_=digest_of(CONTENT)))
    return upload_id


def wait_until_verified(client: AuthenticatedClient, upload_id: str) -> None:
    while not (upload := upload_show.sync(upload_id, client=client)).status.verified_on:
        assert isinstance(upload.status, FlatStatusSchema)
        assert not upload.status.error_on, upload.status.error_message


def main(url: str, agent_key: str, user_key: str, project_id: str) -> None:
    keys = KeyPair(agent_key=agent_key, user_key=user_key)
    token = account_exchange_keys.sync(client=Client(base_url=url), body=keys)
    assert isinstance(token, TokenSchema)
    client = AuthenticatedClient(base_url=url, token=token.api_token, prefix="")
    upload_id = send(client, project_id)
    wait_until_verified(client, upload_id)
    assert isinstance(upload_show.sync(upload_id, client=client, x_status_design="b").status, StatesSchema)
    assert [upload.id for upload in upload_list.sync(project_id, client=client).results] == [upload_id]
    place = ContainerReference(kind="dds-project", id=project_id)
    file = file_create.sync(client=client, body=NewFile(parent=place, upload=Reference(id=upload_id)))
    source = file_show_url.sync(file.id, client=client)
    assert blob_download.sync(upload_id, client=client, **signed(source.url)).payload.read() == CONTENT
    missing = upload_show.sync(project_id, client=client)
    assert isinstance(missing, ErrorSchema)
    assert missing.reason == "Upload Not Found"
    sys.stdout.write(upload_id)


if __name__ == "__main__":
    main(*sys.argv[1:])

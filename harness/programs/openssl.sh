# openssl speed, briefly; figures aren't compared.
openssl speed -seconds 1 -evp aes-128-gcm 2>/dev/null | grep -c '^AES-128-GCM'; openssl speed -seconds 1 -multi 2 sha256 2>/dev/null | grep -c '^sha256'
openssl rand 1000 | wc -c; echo kiln | openssl dgst -sha3-256; echo kiln | openssl enc -aes-256-cbc -pbkdf2 -k k -S 0011223344556677 | od -An -tx1; openssl genrsa 1024 2>/dev/null | openssl rsa -check -noout 2>&1

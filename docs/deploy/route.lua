-- Orthanc forwards each radiograph that it receives to the modality "raydino".
local FILMS = {CR = true, DX = true}

function OnStoredInstance(instanceId, tags, metadata)
  if FILMS[tags["Modality"]] then
    SendToModality(instanceId, "raydino")
  end
end
